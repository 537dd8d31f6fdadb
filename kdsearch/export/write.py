"""A student to ship: its config, its weights, its figures, and how to load it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.errors import InputError, KdsearchError
from kdsearch.space import config_yaml

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG, WEIGHTS, METRICS, README = "config.yaml", "student.safetensors", "metrics.json", "README.md"


def write_export(
    out: Path,
    config: Mapping[str, Any],
    weights: Path,
    described: Mapping[str, Any],
    metrics: Mapping[str, Any],
    recipe: str,
) -> Path:
    """Write an export to a new folder `out`, which appears only when it is whole and was checked.

    Args:
        out: Must not exist.
        config: A config; it is written as a spec that `kdsearch train` runs.
        weights: The trained student's file.
        described: `shape`, `mean`, `std` and `classes` of its data.
        metrics: Its figures.
        recipe: The config in words.

    Raises:
        InputError: When `out` exists or can't be made.
        KdsearchError: When the student read back does not give the same logits, bit for bit.
    """
    check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as part:
        folder = Path(part) / out.name
        folder.mkdir()
        (folder / CONFIG).write_text(config_yaml(config), encoding="utf-8")
        shutil.copyfile(weights, folder / WEIGHTS)
        figures = {"recipe": recipe, "metrics": dict(metrics), "input": dict(described)}
        (folder / METRICS).write_text(json.dumps(figures, indent=2, default=str) + "\n", encoding="utf-8")
        (folder / README).write_text(_readme(out.name, recipe, metrics, described), encoding="utf-8")
        _verify(folder, config, weights, described)
        folder.rename(out)
    return out


def check_out(out: Path) -> None:
    """Raise InputError when the folder of an export is there already."""
    if out.exists():
        raise InputError(f"--out {out}: it exists; name a folder that does not")


def load_student(folder: str | Path) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """The student of an export, in eval mode, and the function that its images go through first.

    That function takes images (B, C, H, W) uint8 to normalised float32; the student takes these to logits
    (B, classes).

    Raises:
        InputError: When the folder holds no export, or a damaged one.
    """
    from functools import partial

    import torch

    from kdsearch.data import normalise
    from kdsearch.spec import load_spec

    folder = Path(folder)
    try:
        described = json.loads((folder / METRICS).read_text(encoding="utf-8"))["input"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder} holds no export: {METRICS} cannot be read ({error})") from None
    config = load_spec(folder / CONFIG).tree()
    model = _build(config, folder / WEIGHTS, described)
    mean, std = torch.tensor(described["mean"]), torch.tensor(described["std"])
    return model, partial(normalise, mean=mean, std=std)


def _build(config: Mapping[str, Any], weights: Path, described: Mapping[str, Any]) -> nn.Module:
    from kdsearch import models

    model = models.build(config["student"], tuple(described["shape"]), len(described["classes"]))
    models.load_weights(model, weights)
    return model.eval()


def _verify(folder: Path, config: Mapping[str, Any], weights: Path, described: Mapping[str, Any]) -> None:
    import torch

    trained = _build(config, weights, described)
    loaded, prepare = load_student(folder)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, *described["shape"]), generator=generator, dtype=torch.uint8)
    with torch.inference_mode():
        same = torch.equal(trained(prepare(images)), loaded(prepare(images)))
    if not same:
        raise KdsearchError("the export, read back, gives other logits than the student")


def _readme(name: str, recipe: str, metrics: Mapping[str, Any], described: Mapping[str, Any]) -> str:
    channels, height, width = described["shape"]
    rows = "\n".join(
        f"| {key} | {value} |" for key, value in metrics.items() if isinstance(value, int | float)
    )
    return f"""# {name}

{recipe}

`student` maps images to logits of {len(described["classes"])} classes; `prepare` takes uint8 images \
(B, {channels}, {height}, {width}) to what it expects. In the folder that holds this one:

```python
import kdsearch, torch
student, prepare = kdsearch.load_student("{name}")
images = torch.zeros(1, {channels}, {height}, {width}, dtype=torch.uint8)
with torch.inference_mode():
    print(student(prepare(images)).argmax(1))
```

`kdsearch train {CONFIG}` distills it again, and reaches the same figures on the same machine.

| metric | value |
|---|---|
{rows}
"""
