"""`kdsearch check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdsearch.cli.options import Overrides, SpecFile, console

if TYPE_CHECKING:
    from rich.console import Console

    from kdsearch.spec import Spec


def check(
    space: SpecFile,
    overrides: Overrides = [],  # noqa: B006
    layers: Annotated[
        bool, typer.Option("--layers", help="Also load data and models, and list their hintable layers")
    ] = False,
) -> None:
    """Validate a spec, and print its dimensions and one sample config."""
    from rich.table import Table

    from kdsearch.space import RandomTrial, canonical, config_yaml, dimensions, sample
    from kdsearch.spec import load_spec

    spec = load_spec(space, overrides)
    out = console()
    found = dimensions(spec)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("Dimension", "Kind", "Range", "When"):
        table.add_column(head, overflow="fold")
    for dimension in found:
        table.add_row(dimension.name, dimension.kind, dimension.range, dimension.when or "always")
    if found:
        out.print(table)
        out.print()
    out.print(f"{len(found)} dimensions" if found else "no dimensions: this is a config", highlight=False)
    if layers:
        _print_layers(out, spec, space)
        return
    config = canonical(sample(spec, RandomTrial(spec.search.seed)))
    out.print("\n[bold]one sample config[/bold]")
    shown = {key: config[key] for key in ("teachers", "student", "distill", "optim", "deploy")}
    out.print(config_yaml(shown), highlight=False, markup=False, soft_wrap=True)


def _print_layers(out: Console, spec: Spec, file: Path) -> None:
    from kdsearch.distill.preflight import preflight
    from kdsearch.space import corners, describe_model

    facts = preflight(spec, str(file))
    models: dict[str, dict[str, Any]] = {
        f"teacher {name}": t["model"] for name, t in spec.tree()["teachers"].items()
    }
    models |= {f"student {describe_model(student)}": student for student in corners(spec.tree()["student"])}
    for name, model in models.items():
        out.print(f"\n[bold]{name}[/bold]")
        hintable, _ = facts.layers(model)
        for layer in hintable:
            out.print(f"  {layer.path:<24} {' x '.join(map(str, layer.shape))}", highlight=False)
