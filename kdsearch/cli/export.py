"""`kdsearch export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.options import TrackingUri, Where, tracking_uri


def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the search")],
    out: Annotated[Path, typer.Option(help="A folder that does not exist yet", show_default=False)],
    pick: Annotated[
        str | None,
        typer.Option(metavar="RULE", help="best:OBJECTIVE, knee, or a run of the front; by default the best"),
    ] = None,
    where: Where = None,
    uri: TrackingUri = None,
) -> None:
    """Write one student of the front: config, weights, figures, and how to load it."""
    import kdsearch

    found = kdsearch.open_search(name, tracking_uri(uri))
    row = found.pick(pick, where=where)
    folder = found.export(out, pick=str(row["uid"]))
    typer.echo(
        f"{row['recipe']}\nwritten to {folder}, read back and found equal; "
        f"{folder / 'README.md'} says how to load it"
    )
