"""`kdsearch front`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kdsearch.cli.options import TrackingUri, Where, console, tracking_uri


def front(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the search")],
    where: Where = None,
    format: Annotated[Literal["table", "csv", "json"], typer.Option(help="How it is printed")] = "table",
    uri: TrackingUri = None,
) -> None:
    """Print the front of a finished or running search, read from MLflow."""
    import kdsearch
    from kdsearch.pareto import front_table, to_csv, to_json

    found = kdsearch.open_search(name, tracking_uri(uri))
    members = found.filter(where)
    if format == "table":
        running = " (still running)" if found.state == "running" else ""
        caption = f"{name}{running}: {len(members)} of {len(found.trials)} trials"
        console().print(front_table(members, caption=caption))
    else:
        text = {"csv": to_csv, "json": to_json}[format](members.drop(columns="config"))
        typer.echo(text, nl=False)
