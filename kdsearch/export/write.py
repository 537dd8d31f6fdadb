"""A student to ship, written whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.errors import InputError
from kdsearch.export.card import card
from kdsearch.export.files import CARD, GRAPH, LABELS, METRICS, check_out, write_sums
from kdsearch.export.load import trained
from kdsearch.export.student import Student
from kdsearch.export.verify import verify
from kdsearch.filenames import CONFIG, WEIGHTS
from kdsearch.space import config_yaml, describe
from kdsearch.spec import check_onnx_installed, load_spec

if TYPE_CHECKING:
    from torch import nn


def write_export(out: Path, student: Student) -> Path:
    """Write an export to a new folder `out`, which appears only when it is whole and was checked.

    Beside the weights it holds an ONNX graph where the extra `onnx` is installed and the model can be
    exported, and the file that ships where that is yet another.

    Raises:
        InputError: When `out` exists or can't be made, or a file of the student is missing.
        KdsearchError: When what was written, read back, does not give the same logits; see `verify`.
    """
    from kdsearch.deploy import file_of

    check_out(out)
    spec = load_spec(student.config)
    ships = file_of(spec.deploy)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}") from None
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as part:
        folder = Path(part) / out.name
        folder.mkdir()
        (folder / CONFIG).write_text(config_yaml(student.config), encoding="utf-8")
        for file in dict.fromkeys((WEIGHTS, ships)):
            if not (student.files / file).is_file():
                raise InputError(f"the student is incomplete: {file} is missing")
            shutil.copyfile(student.files / file, folder / file)
        model = trained(student.config, student.described, student.files / WEIGHTS)
        no_graph = _write_graph(folder, model, student.described)
        labels = "".join(f"{' '.join(str(name).split())}\n" for name in student.described["classes"])
        (folder / LABELS).write_text(labels, encoding="utf-8")
        content = {
            "recipe": describe(student.config),
            "metrics": dict(student.metrics),
            "input": dict(student.described),
            "ships": ships,
            "origin": dict(student.origin),
            "verified": verify(folder, model, student.described),
        }
        (folder / METRICS).write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
        text = card(out.name, student, ships=ships, no_graph=no_graph)
        (folder / CARD).write_text(text, encoding="utf-8")
        write_sums(folder)
        folder.rename(out)
    return out


def _write_graph(folder: Path, model: nn.Module, described: Mapping[str, Any]) -> str:
    """Write the graph at full precision, unless it is there; returns why that cannot be done."""
    import torch

    from kdsearch.deploy import WithPreprocessing, write_graph

    if (folder / GRAPH).exists():
        return ""
    try:
        check_onnx_installed(GRAPH)
        shipped = WithPreprocessing(
            model, torch.tensor(described["mean"]), torch.tensor(described["std"])
        ).eval()
        write_graph(shipped, tuple(described["shape"]), described["classes"], folder / GRAPH)
    except InputError as error:
        return str(error)
    return ""
