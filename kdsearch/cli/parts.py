"""`kdsearch losses` and `kdsearch parts`: what a spec may name, and the options of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal, get_args, get_origin

import typer

from kdsearch.cli.options import console

if TYPE_CHECKING:
    from kdsearch.registry import Parameter, Part

Row = tuple[str, ...]
#: Title, header and rows, each behind the module of the part.
Tables = Iterator[tuple[str, Row, list[Row]]]
Format = Annotated[Literal["table", "markdown"], typer.Option(help="How it is printed")]

#: The kinds that `kdsearch parts` shows, and where a spec names them.
_KINDS = {
    "dataset": "Data sets: `data.source`",
    "model": "Models: `student`, `teachers.NAME.model`",
    "optimizer": "Optimisers: `optim.name`",
    "schedule": "Schedules of the learning rate: `optim.schedule`",
    "sampler": "Samplers: `search.sampler`",
    "objective": "Figures: `objectives`, `measure`, `constraints`",
}


def losses(format: Format = "table") -> None:
    """Print every loss and every ensemble: its paper, what it needs, its options with sensible domains."""
    _print(_losses, format)


def parts(format: Format = "table") -> None:
    """Print everything else that a spec may name, with its options: data, models, optimisers, samplers, …"""
    _print(_others, format)


def _print(tables: Callable[[], Tables], format: str) -> None:
    if format == "markdown":
        typer.echo(markdown(tables()), nl=False)
        return
    from rich.table import Table

    for title, header, rows in tables():
        table = Table(*header, title=_plain(title), title_justify="left", box=None, header_style="bold")
        for _, *cells in rows:
            table.add_row(*map(_plain, cells))
        console().print(table)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text.replace("`", ""))


def markdown(tables: Tables) -> str:
    """Tables of a page in `docs/`, each name with a link to its file."""
    lines: list[str] = []
    for title, header, rows in tables:
        lines += ["", f"## {title}", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
        for module, name, *cells in rows:
            link = f"[`{name}`](../{module.replace('.', '/')}.py)"
            lines.append(f"| {' | '.join([link, *(cell.replace('|', chr(92) + '|') for cell in cells)])} |")
    return "\n".join(lines) + "\n"


def _losses() -> Tables:
    from kdsearch.registry import parts

    found = sorted(parts("loss").values(), key=lambda part: (str(part.facts.get("family")), part.name))
    header = "Paper", "Needs", "Options"
    yield "Losses", ("Loss", "Family", *header), [_row(part, str(part.facts.get("family"))) for part in found]
    yield "Ensembles", ("Ensemble", *header), [_row(part) for part in parts("ensemble").values()]


def _others() -> Tables:
    from kdsearch.registry import parts

    for kind, title in _KINDS.items():
        shown = [part for part in parts(kind).values() if not part.facts.get("internal")]
        yield title, ("Name", "What it is", "Options"), [_described(part) for part in shown]


def _described(part: Part) -> Row:
    options = [_explained(parameter) for parameter in part.parameters.values()]
    if part.facts.get("prefix"):
        options.append("those of the model itself")
    return part.module, part.name + ("NAME" if part.name[-1] == ":" else ""), part.summary, "; ".join(options)


def _explained(parameter: Parameter) -> str:
    default = "required" if parameter.required else json.dumps(parameter.default)
    return f"`{parameter.name}` ({default}): {parameter.doc.rstrip('.')}"


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
