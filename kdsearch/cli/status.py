"""`kdsearch status`."""

from __future__ import annotations

from pathlib import Path

import typer

from kdsearch.cli.options import JobAddress, SearchName, Storage
from kdsearch.filenames import STORAGE


def status(name: SearchName, storage: Storage = Path(STORAGE), address: JobAddress = None) -> None:
    """Say how a search stands, from its files: it may be running, on another machine, or over.

    With --address, what the cluster says of its job, and what the job said last.
    """
    if address is not None:
        from kdsearch.tune.cluster_job import find_job, job_logs, job_state

        job = find_job(address, name)
        typer.echo(f"{name}: job {job.id} {job_state(job)}")
        typer.echo("\n".join(job_logs(job).rstrip().splitlines()[-1:]))
        return
    from kdsearch.tune import status as files

    found = files.status(name, storage)
    by = f" in process {found.process}" if found.process else ""
    typer.echo(f"{name}: {found.state}{by}{f' ({found.reason})' if found.reason else ''}")
    typer.echo("trials: " + (", ".join(f"{n} {state}" for state, n in found.counts.most_common()) or "none"))
    for record in found.running:
        typer.echo(f"  {record.uid}  epoch {record.epochs}  {record.recipe}")
    if found.state in ("killed", "stopped", "failed"):
        typer.echo(f"--resume {name} goes on with it")
