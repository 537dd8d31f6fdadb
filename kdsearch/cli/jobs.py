"""What the commands that may be sent to a cluster as a job have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from kdsearch.tune.cluster_job import ClusterJob


def job_address(address: str | None, detach: bool, pip: Path | None) -> str | None:
    """The address that a command is submitted to as a job; None where it runs in this process.

    Raises InputError for `--detach` or `--pip` without such an address.
    """
    from kdsearch.errors import InputError
    from kdsearch.tune.cluster import is_job

    if is_job(address):
        return address
    for option, given, what in (
        ("--detach", detach, "can be detached"),
        ("--pip", pip, "takes requirements"),
    ):
        if given:
            raise InputError(f"{option}: only a job {what}; give --address auto, ray://… or http://…")
    return None


def announce(job: ClusterJob, name: str, detach: bool) -> int:
    """Say that the job `name` was submitted and, unless detached, print its output until it ends.

    Returns the exit code of the command.
    """
    from kdsearch.tune.cluster_job import follow_job

    typer.echo(f"job {job.id} submitted")
    if detach:
        return 0
    try:
        return follow_job(job, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        typer.echo(f"\nno longer followed; {name} goes on")
        return 0
