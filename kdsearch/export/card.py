"""The model card of an export, as Markdown.

Mitchell et al. 2019, Model Cards for Model Reporting, arXiv:1810.03993.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kdsearch.export.files import GRAPH, LABELS, METRICS, SUMS
from kdsearch.export.student import Student
from kdsearch.filenames import CONFIG, WEIGHTS
from kdsearch.space import describe, describe_model

_FILES = {
    CONFIG: "the recipe; `kdsearch train` runs it",
    WEIGHTS: "the trained weights",
    GRAPH: "the student in ONNX, at full precision; it takes the bytes of images",
    LABELS: "the names of the classes, a line each, in the order of the logits",
    METRICS: "all figures",
    SUMS: "checksums: `sha256sum --check SHA256SUMS`",
}


def card(name: str, student: Student, *, ships: str, no_graph: str) -> str:
    """The text of a card.

    Args:
        name: Of the folder.
        student: What it is of.
        ships: The name of the file that ships.
        no_graph: Why there is no ONNX graph at full precision; empty where there is.
    """
    config, described = student.config, student.described
    channels, height, width = described["shape"]
    sections = [
        f"# {name}",
        describe(config),
        f"It classifies images of {channels} x {height} x {width} (channels, height, width) bytes into "
        f"{len(described['classes'])} classes: {_some(described['classes'])}. What ships is `{ships}`; "
        "the figures below are those of this file.",
        _loading(name, described, ships, no_graph),
        "## Figures\n\n" + _figures(student.metrics),
        "## Data\n\n" + _data(config, described),
        *(["## Teachers\n\n" + _teachers(config, student.teachers)] if config["teachers"] else []),
        "## Licences\n\n" + _licences(config),
        "## To make it again\n\n" + _again(student.origin),
        "## Files\n\n" + _files(ships, no_graph),
    ]
    return "\n\n".join(sections) + "\n"


def _loading(name: str, described: Mapping[str, Any], ships: str, no_graph: str) -> str:
    from kdsearch.deploy import OPSET

    shape = ", ".join(map(str, described["shape"]))
    text = f"""In the folder that holds this one:

```python
import kdsearch, torch
student, prepare = kdsearch.load_student("{name}")
images = torch.zeros(1, {shape}, dtype=torch.uint8)
with torch.inference_mode():
    print(student(prepare(images)).argmax(1))
```

`prepare` divides bytes by 255, takes off the mean {_numbers(described["mean"])} and divides by the standard \
deviation {_numbers(described["std"])} of each channel."""
    graph = ships if ships.endswith(".onnx") else GRAPH
    if no_graph and graph == GRAPH:
        return f"{text} There is no ONNX graph: {no_graph}."
    return f"""{text} The ONNX graphs (opset {OPSET}, any size of batch) do that themselves and need nothing \
but ONNX Runtime:

```py
import numpy, onnxruntime
session = onnxruntime.InferenceSession("{name}/{graph}")
logits, = session.run(None, {{"images": numpy.zeros((1, {shape}), "uint8")}})
```

`kdsearch predict {name} IMAGE.png` prints the label of an image."""


def _figures(metrics: Mapping[str, Any]) -> str:
    rows = []
    for key, value in metrics.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and not key.endswith("_std"):
            spread = metrics.get(f"{key}_std")
            rows.append(
                (key, f"{value:.6g}" + (f" ± {spread:.3g}" if isinstance(spread, int | float) else ""))
            )
    said = [str(metrics[key]) for key in ("device", "governor", "libraries") if metrics.get(key)]
    where = f"\n\nTimed on {', '.join(said)}." if said else ""
    return _table(("metric", "value"), rows) + where


def _data(config: Mapping[str, Any], described: Mapping[str, Any]) -> str:
    data = config["data"]
    options = ", ".join(
        f"{key} {value}"
        for key, value in data.items()
        if key not in ("source", "root", "path", "augment", "batch_size") and value is not None
    )
    augment = ", ".join(f"{key} {value}" for key, value in data["augment"].items() if value) or "none"
    return (
        f"`{data['source']}` ({options}); random views: {augment}. Plain figures are of the validation "
        "split, those with `test_` of images on which no choice was based."
    )


def _teachers(config: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, teacher in config["teachers"].items():
        scores = records.get(name, {}).get("metrics", {})
        shares = [f"{scores[key]:.2%}" if key in scores else "–" for key in ("accuracy", "test_accuracy")]
        source = teacher["weights"] or "trained from labels"
        rows.append((name, describe_model(teacher["model"]), *shares, source))
    return _table(("teacher", "model", "accuracy", "test", "weights"), rows)


def _licences(config: Mapping[str, Any]) -> str:
    rows = [("this student", ""), (f"the data set `{config['data']['source']}`", "")]
    rows += [
        (f"the teacher `{name}`", "") for name, teacher in config["teachers"].items() if teacher["weights"]
    ]
    return "To be filled in by whoever ships it; kdsearch does not know them.\n\n" + _table(
        ("what", "licence"), rows
    )


def _again(origin: Mapping[str, str]) -> str:
    made = f"`kdsearch train {CONFIG}` distills it again, and reaches the same figures on the same machine."
    if not origin:
        return made
    return f"{made} It comes from run `{origin['run']}` of the search `{origin['search']}`."


def _files(ships: str, no_graph: str) -> str:
    held = {key: text for key, text in _FILES.items() if key != GRAPH or not no_graph}
    held[ships] = f"{held[ships]}; what ships" if ships in held else "what ships"
    return _table(("file", "holds"), [(f"`{key}`", text) for key, text in held.items()])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _some(classes: list[str], most: int = 20) -> str:
    more = f" and {len(classes) - most} more" if len(classes) > most else ""
    return ", ".join(classes[:most]) + more
