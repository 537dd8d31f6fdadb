"""`kdsearch front`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kdsearch.cli.options import TrackingUri, Where, console, tracking_uri

if TYPE_CHECKING:
    from kdsearch.api import Search

Form = Literal["table", "csv", "json"]


def front(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Of the search, or searches")],
    where: Where = None,
    format: Annotated[Form, typer.Option(help="How it is printed")] = "table",
    compare: Annotated[
        bool, typer.Option("--compare", help="Put the fronts of several searches on one plot")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for the plot of --compare")] = Path(),
    uri: TrackingUri = None,
) -> None:
    """Print the front of a finished or running search, read from MLflow."""
    import kdsearch
    from kdsearch.errors import InputError

    if compare != (len(names) > 1):
        raise InputError(
            "--compare takes two searches or more" if compare else "several searches need --compare"
        )
    searches = [kdsearch.open_search(name, tracking_uri(uri)) for name in dict.fromkeys(names)]
    if compare:
        _compare(searches, where, format, out)
    else:
        _print(searches[0], where, format)


def _print(found: Search, where: str | None, form: Form) -> None:
    from kdsearch.pareto import front_table, to_csv, to_json

    members = found.filter(where)
    if form == "table":
        out = console()
        caption = f"{found.name}: {len(members)} of {len(found.trials)} trials"
        out.print(front_table(members, also=found.objectives, caption=caption))
        if found.state == "running":
            out.print(f"{found.name} {found.stands}", highlight=False, soft_wrap=True)
    else:
        text = {"csv": to_csv, "json": to_json}[form](members.drop(columns="config"))
        typer.echo(text, nl=False)


def _compare(searches: list[Search], where: str | None, form: Form, out: Path) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from kdsearch.pareto import to_csv, to_json, words, write_html
    from kdsearch.pareto.album import axes
    from kdsearch.pareto.compare import (
        common_reference,
        compare_figure,
        compare_png,
        compared,
        shared_objectives,
    )
    from kdsearch.pareto.progress import stated

    objectives = shared_objectives({each.name: each.objectives for each in searches})
    reference = common_reference([each.reference for each in searches], objectives)
    fronts = {each.name: each.filter(where) for each in searches}
    table = compared(fronts, objectives, reference)
    if form != "table":
        typer.echo({"csv": to_csv, "json": to_json}[form](table), nl=False)
        return
    y, x = axes(objectives)
    assert x is not None
    out.mkdir(parents=True, exist_ok=True)
    page, picture = (out / f"{'-vs-'.join(fronts)}.{kind}" for kind in ("html", "png"))
    write_html(compare_figure(fronts, objectives, table, x=x, y=y), page)
    compare_png(fronts, objectives, table, x, y, picture)
    shown = Table(box=SIMPLE_HEAD, caption=f"up to {stated(reference)}", caption_justify="left")
    for head in ("Search", "Members", "Hypervolume", "IGD+", "Epsilon"):
        shown.add_column(head, justify="left" if head == "Search" else "right")
    for row in table.itertuples(index=False):
        shown.add_row(str(row[0]), str(row[1]), *(words.short(float(value)) for value in row[2:]))
    console().print(shown)
    console().print(f"{page}\n{picture}", highlight=False, soft_wrap=True)
