"""`kdsearch train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.options import Profiled, log_to_stderr


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="A spec with nothing left to search")],
    out: Annotated[
        Path | None, typer.Option(help="A folder that does not exist yet, for the student")
    ] = None,
    profile: Profiled = False,
) -> None:
    """Distill one config, as an export or a user wrote it."""
    from kdsearch.spec import load_spec
    from kdsearch.train import train_config

    log_to_stderr()
    metrics = train_config(
        load_spec(config, ["compute.profile=true"] if profile else []),
        file=str(config),
        out=out,
        report=typer.echo,
    )
    for name, value in metrics.items():
        typer.echo(f"{name:<16} {value:.6g}" if isinstance(value, float) else f"{name:<16} {value}")
    if out is not None:
        typer.echo(f"written to {out}")
