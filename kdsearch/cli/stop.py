"""`kdsearch stop`."""

from __future__ import annotations

from pathlib import Path

import typer

from kdsearch.cli.options import JobAddress, SearchName, Storage
from kdsearch.filenames import STORAGE


def stop(name: SearchName, storage: Storage = Path(STORAGE), address: JobAddress = None) -> None:
    """Stop a running search from anywhere that sees its folder, as Ctrl-C does: it can be resumed.

    With --address its job gets three seconds for that, and is ended then.
    """
    if address is not None:
        from kdsearch.tune.cluster_job import find_job, stop_job

        job = find_job(address, name)
        typer.echo(f"{name}: job {job.id} " + ("ends now" if stop_job(job) else "does not run"))
        return
    from kdsearch.tune import status as files

    files.stop(name, storage)
    typer.echo(f"{name} stops after the epochs that run now")
