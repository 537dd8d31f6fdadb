"""Arguments that several commands take."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsearch.storage import local

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 10_000
DEFAULT_URI = "sqlite:///mlflow.db"

SpecFile = Annotated[Path, typer.Argument(metavar="SPACE.yaml", help="The spec", show_default=False)]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the spec; may be repeated")
]
TrackingUri = Annotated[
    str | None,
    typer.Option("--tracking-uri", metavar="URI", help="MLflow's address", envvar="MLFLOW_TRACKING_URI"),
]
ExportFolder = Annotated[
    Path, typer.Argument(metavar="EXPORT", help="The folder of an export", show_default=False)
]
Storage = Annotated[
    Path,
    typer.Option(parser=local, metavar="FOLDER|URL", help="The `compute.storage` of the search"),
]
Profiled = Annotated[
    bool,
    typer.Option("--profile", help="Tell where the time goes, and trace a few steps (compute.profile)"),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Of a Ray cluster: auto, ray://HOST:PORT or http://HOST:8265 submit a job; HOST:PORT drives it "
        "from here, a node of it. By default Ray is started here",
        envvar="RAY_ADDRESS",
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help="Submit the job, and do not follow it")]
Pip = Annotated[
    Path | None,
    typer.Option(
        "--pip",
        metavar="FILE",
        help="Requirements to install for the job on every node; by default it takes what they have",
        show_default=False,
    ),
]
JobAddress = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Of the cluster that the search was sent to as a job: auto, ray://HOST:PORT or "
        "http://HOST:8265. By default its folder is looked into",
        show_default=False,
    ),
]
SearchName = Annotated[str, typer.Argument(metavar="NAME", help="Of the search", show_default=False)]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="CONSTRAINTS", help='Such as "latency_ms <= 1 and size_mb < 2"'),
]


def tracking_uri(given: str | None) -> str:
    """The address to read from: as given, or the store that a search writes to by default."""
    return given or DEFAULT_URI


def console() -> Console:
    """Where tables go: as wide as the terminal, and wide enough for every table where there is none."""
    from rich.console import Console

    here = Console()
    return here if here.is_terminal else Console(width=_WIDE)


def log_to_stderr() -> None:
    """Print what kdsearch logs while it trains in this process, from the level INFO up."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("kdsearch").setLevel(logging.INFO)


def program() -> str:
    """How to call this program from here, in a way that can be typed."""
    if shutil.which("kdsearch"):
        return "kdsearch"
    script = Path(sys.argv[0])
    return os.path.relpath(script) if script.name == "kdsearch" else "python -m kdsearch"
