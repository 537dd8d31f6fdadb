"""`kdsearch logs`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.options import SearchName, Storage

_PAUSE = 0.5


def logs(
    name: SearchName,
    storage: Storage = Path("kdsearch_store"),
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the search ends")] = False,
) -> None:
    """Print what a search has said: a line for each trial that ended, and what else happened."""
    from kdsearch.tune.folder import LOG, find_folder, runner

    folder = find_folder(storage, name)
    (folder / LOG).touch()
    with (folder / LOG).open(encoding="utf-8") as file:
        while True:
            runs = runner(folder) is not None
            typer.echo(file.read(), nl=False)
            if not (follow and runs):
                return
            time.sleep(_PAUSE)
