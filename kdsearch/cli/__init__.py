"""The command line: one module a command, each a thin layer over the Python interface."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from kdsearch.cli.bank import bank
from kdsearch.cli.check import check
from kdsearch.cli.confirm import confirm
from kdsearch.cli.export import export
from kdsearch.cli.front import front
from kdsearch.cli.latency import latency
from kdsearch.cli.layers import layers
from kdsearch.cli.logs import logs
from kdsearch.cli.parts import losses, parts
from kdsearch.cli.predict import predict
from kdsearch.cli.schema import schema
from kdsearch.cli.search import search
from kdsearch.cli.status import status
from kdsearch.cli.stop import stop
from kdsearch.cli.sync import sync
from kdsearch.cli.teachers import teachers
from kdsearch.cli.train import train
from kdsearch.cli.ui import ui
from kdsearch.errors import KdsearchError

app = typer.Typer(
    help="Search over knowledge distillation: teachers, losses, temperatures, hints and the student itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(check, search, status, stop, logs, sync, front, confirm, export, predict, latency),
    *(train, teachers, layers, losses, parts, bank, ui, schema),
):
    app.command()(command)


def main() -> None:
    """Run a command. Exit codes: 0 done, 2 bad input, 1 failed."""
    # A spec may name modules of the folder that the command runs in, as with `python -m`.
    sys.path.insert(0, str(Path.cwd()))
    try:
        app()
    except KdsearchError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(1)
