"""`kdsearch logs`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.options import JobAddress, SearchName, Storage
from kdsearch.filenames import STORAGE

_PAUSE = 0.5


def logs(
    name: SearchName,
    storage: Storage = Path(STORAGE),
    address: JobAddress = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the search ends")] = False,
) -> None:
    """Print what a search has said: a line for each trial that ended, and what else happened."""
    if address is not None:
        from kdsearch.tune.cluster_job import find_job, follow_job, job_logs

        job = find_job(address, name)
        if follow:
            raise typer.Exit(follow_job(job, lambda text: typer.echo(text, nl=False)))
        typer.echo(job_logs(job), nl=False)
        return
    from kdsearch.storage import fetch
    from kdsearch.tune.folder import LOG, find_folder
    from kdsearch.tune.search_lock import runner

    file, told = find_folder(storage, name) / LOG, 0
    while True:
        runs = runner(file.parent) is not None
        # The file of a bucket is another one each time that it is fetched.
        fetch(file)
        if file.exists():
            with file.open("rb") as lines:
                lines.seek(told)
                new = lines.read()
            typer.echo(new.decode(errors="replace"), nl=False)
            told += len(new)
        if not (follow and runs):
            return
        time.sleep(_PAUSE)
