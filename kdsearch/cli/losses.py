"""`kdsearch losses`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdsearch.cli.options import console

if TYPE_CHECKING:
    from kdsearch.registry import Parameter


def losses() -> None:
    """Print every loss: its family and paper, what it needs, and its options with sensible domains."""
    from rich.table import Table

    from kdsearch.registry import parts

    table = Table(
        "Loss", "Family", "Paper", "Needs", "Options", box=None, header_style="bold", pad_edge=False
    )
    found = sorted(parts("loss").values(), key=lambda part: (str(part.facts.get("family")), part.name))
    for part in found:
        table.add_row(
            part.name,
            str(part.facts.get("family", "")),
            str(part.facts.get("paper", "")),
            ", ".join(need.replace("_", " ") for need in part.needs),
            ", ".join(map(_option, part.parameters.values())),
        )
    console().print(table)


def _option(parameter: Parameter) -> str:
    text = f"{parameter.name}={parameter.default}"
    if searched := parameter.searched:
        text += f" ({searched.low:g} … {searched.high:g}{', log' if searched.log else ''})"
    return text
