"""Arguments that several commands take."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URI = "sqlite:///mlflow.db"

SpecFile = Annotated[Path, typer.Argument(metavar="SPACE.yaml", help="The spec", show_default=False)]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the spec; may be repeated")
]
TrackingUri = Annotated[
    str | None,
    typer.Option("--tracking-uri", metavar="URI", help="MLflow's address", envvar="MLFLOW_TRACKING_URI"),
]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="CONSTRAINTS", help='Such as "latency_ms <= 1 and size_mb < 2"'),
]


def tracking_uri(given: str | None) -> str:
    """The address to read from: as given, or the store that a search writes to by default."""
    return given or DEFAULT_URI


def see_user_modules() -> None:
    """Let a spec name modules of the folder that the command runs in, as `python -m` would."""
    import sys

    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
