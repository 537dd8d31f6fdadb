"""`kdsearch losses`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, get_args, get_origin

import typer

from kdsearch.cli.options import console

if TYPE_CHECKING:
    from kdsearch.registry import Parameter, Part

Row = tuple[str, ...]


def losses(
    format: Annotated[Literal["table", "markdown"], typer.Option(help="How it is printed")] = "table",
) -> None:
    """Print every loss and every ensemble: its paper, what it needs, its options with sensible domains."""
    if format == "markdown":
        typer.echo(markdown(), nl=False)
        return
    from rich.table import Table

    for title, header, rows in _tables():
        table = Table(*header, title=title, title_justify="left", box=None, header_style="bold")
        for _, *cells in rows:
            table.add_row(*cells)
        console().print(table)


def markdown() -> str:
    """The same as two tables of a page in `docs/`, each name with a link to the file of its formula."""
    lines: list[str] = []
    for title, header, rows in _tables():
        lines += ["", f"## {title}", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
        for module, name, *cells in rows:
            link = f"[`{name}`](../{module.replace('.', '/')}.py)"
            lines.append(f"| {' | '.join([link, *(cell.replace('|', chr(92) + '|') for cell in cells)])} |")
    return "\n".join(lines) + "\n"


def _tables() -> Iterator[tuple[str, Row, list[Row]]]:
    """Title, header and rows, each behind the module of the part, of losses and of ensembles."""
    from kdsearch.registry import parts

    found = sorted(parts("loss").values(), key=lambda part: (str(part.facts.get("family")), part.name))
    header = "Paper", "Needs", "Options"
    yield "Losses", ("Loss", "Family", *header), [_row(part, str(part.facts.get("family"))) for part in found]
    yield "Ensembles", ("Ensemble", *header), [_row(part) for part in parts("ensemble").values()]


def _row(part: Part, *family: str) -> Row:
    needs = ", ".join(need.replace("_", " ") for need in part.needs)
    options = ", ".join(map(_option, part.parameters.values()))
    return part.module, part.name, *family, str(part.facts.get("paper", "")), needs, options


def _option(parameter: Parameter) -> str:
    text = f"{parameter.name}={parameter.default}"
    return f"{text} ({domain})" if (domain := _domain(parameter)) else text


def _domain(parameter: Parameter) -> str:
    """What the literature suggests to search, or else all values, where these are few or bounded."""
    if searched := parameter.searched:
        return f"{searched.low:g} … {searched.high:g}{', log' if searched.log else ''}"
    if get_origin(parameter.annotation) is Literal:
        return " or ".join(get_args(parameter.annotation))
    if parameter.annotation is bool:
        return "False or True"
    for bounds in getattr(parameter.annotation, "__metadata__", ()):
        if None not in (getattr(bounds, "ge", None), getattr(bounds, "le", None)):
            return f"{bounds.ge:g} … {bounds.le:g}"
    return ""
