"""`kdsearch stop`."""

from __future__ import annotations

from pathlib import Path

import typer

from kdsearch.cli.options import SearchName, Storage


def stop(name: SearchName, storage: Storage = Path("kdsearch_store")) -> None:
    """Stop a running search from anywhere that sees its folder, as Ctrl-C does: it can be resumed."""
    from kdsearch.tune import status as files

    files.stop(name, storage)
    typer.echo(f"{name} stops after the epochs that run now")
