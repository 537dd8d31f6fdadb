"""`kdsearch sync`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.options import SearchName, Storage, TrackingUri
from kdsearch.filenames import STORAGE


def sync(
    name: SearchName,
    storage: Storage = Path(STORAGE),
    uri: TrackingUri = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for a server that does not answer", min=0)
    ] = 60,
) -> None:
    """Rebuild a search in MLflow from its files; what is there already is left as it is."""
    from kdsearch.tune.sync import sync as tell

    typer.echo(f"{name}: MLflow has all {tell(name, storage, uri, timeout)} trials")
