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
    register: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Also put it into MLflow's registry, under this name"),
    ] = None,
    uri: TrackingUri = None,
) -> None:
    """Write one student of the front: config, weights, ONNX, figures, model card; verified as written."""
    import kdsearch
    from kdsearch.export.files import CARD
    from kdsearch.export.register import check_name

    if register is not None:
        check_name(register)
    found = kdsearch.open_search(name, tracking_uri(uri))
    row = found.pick(pick, where=where)
    folder = found.export(out, pick=str(row["uid"]))
    graphs = ", ".join(path.name for path in sorted(folder.glob("*.onnx")))
    alone = f"; {graphs} ran in a process of its own" if graphs else ""
    typer.echo(
        f"{row['recipe']}\nwritten to {folder}, read back and found equal{alone}; "
        f"{folder / CARD} says how to load it"
    )
    if register is not None:
        typer.echo(f"registered: mlflow.pyfunc.load_model('{found.register(folder, register).uri}')")
