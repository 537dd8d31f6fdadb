"""`kdsearch ui`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.options import TrackingUri, tracking_uri


def ui(
    space: Annotated[Path | None, typer.Argument(metavar="[SPACE.yaml]", help="Whose store to show")] = None,
    uri: TrackingUri = None,
    port: Annotated[int, typer.Option(help="To listen on, on this machine")] = 5000,
) -> None:
    """Open MLflow's UI on the store of a spec (by default sqlite:///mlflow.db)."""
    from kdsearch.errors import InputError
    from kdsearch.spec import load_spec
    from kdsearch.tracking import check_uri, resolve_uri
    from kdsearch.tracking.store import database

    address = uri or (load_spec(space).tracking.uri if space else tracking_uri(None))
    check_uri(address)
    if address.startswith(("http://", "https://")):
        typer.echo(f"the runs are kept by a server: open {address}")
        return
    resolved = resolve_uri(address)
    if (file := database(resolved)) is not None and not file.exists():
        raise InputError(
            f"there is no store {address} here yet: run a search first, or name it with --tracking-uri"
        )
    typer.echo(f"MLflow's UI: http://127.0.0.1:{port}  (Ctrl-C ends it)")
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        resolved,
        "--host",
        "127.0.0.1",
    ]
    try:
        raise typer.Exit(subprocess.call([*command, "--port", str(port)]))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
