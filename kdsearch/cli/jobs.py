"""What the commands that may be sent to a cluster as a job have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from kdsearch.tune.job import Job


def sent_to(address: str | None, detach: bool) -> str | None:
    """The address that a command is sent to; None where it runs here, and so can't be detached."""
    from kdsearch.errors import InputError
    from kdsearch.tune.cluster import is_job

    if is_job(address):
        return address
    if detach:
        raise InputError("--detach: only a job can be detached; give --address auto, ray://… or http://…")
    return None


def followed(job: Job, name: str, detach: bool) -> int:
    """Say that a job about a search was submitted, and pass on what it prints unless it is detached.

    Returns the exit code of the command.
    """
    from kdsearch.tune.job import follow

    typer.echo(f"job {job.id} submitted")
    if detach:
        return 0
    try:
        return follow(job, lambda text: typer.echo(text, nl=False))
    except KeyboardInterrupt:
        typer.echo(f"\nno longer followed; {name} goes on")
        return 0
