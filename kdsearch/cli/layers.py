"""`kdsearch layers`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kdsearch.cli.options import console


def layers(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A name, or a mapping in YAML with its options")
    ],
    data: Annotated[str, typer.Option(help="A data set, or a mapping in YAML with its options")] = "digits",
    every: Annotated[
        bool, typer.Option("--all", help="Every module, and not just the hintable ones")
    ] = False,
) -> None:
    """Print the layers of a model that hints can be matched to: path, shape and depth."""
    from rich.table import Table

    from kdsearch.distill.matching import layers_of
    from kdsearch.distill.resident import load_dataset
    from kdsearch.spec import load_spec

    spec = load_spec({"data": _value(data), "student": _value(model), "distill": {"losses": {"ce": {}}}})
    dataset = load_dataset(spec.data)
    layers = layers_of(spec.tree()["student"], dataset.shape, len(dataset.classes))
    found = layers.every if every else layers.hintable
    table = Table("Layer", "Shape", "Depth", box=None, header_style="bold", pad_edge=False)
    for index, layer in enumerate(found):
        table.add_row(layer.path, " x ".join(map(str, layer.shape)), f"{(index + 0.5) / len(found):.2f}")
    console().print(table)


def _value(text: str) -> Any:
    from kdsearch.spec import parse_yaml

    return parse_yaml(text)[0] if text.lstrip().startswith("{") else text
