"""`kdsearch bank`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.options import Storage, console
from kdsearch.errors import InputError
from kdsearch.filenames import STORAGE


def bank(
    storage: Storage = Path(STORAGE),
    clear: Annotated[bool, typer.Option("--clear", help="Remove all that is kept")] = False,
) -> None:
    """Show what the teacher bank keeps, or clear it."""
    from rich.table import Table

    from kdsearch.distill.bank import Bank

    if not storage.is_dir():
        raise InputError(f"--storage {storage}: there is no such folder")
    kept = Bank(storage / "bank", limit=0)
    if clear:
        typer.echo(f"removed {kept.clear() / 1e6:,.1f} MB")
        return
    table = Table(box=None, pad_edge=False)
    for head in ("Teacher", "Layer", "Weights", "Images", "Kept as", "Views", "MB"):
        table.add_column(head, overflow="fold")
    entries = kept.entries()
    for entry in entries:
        about = entry.about
        rows, *shape = about["shape"]
        ways = about.get("outcomes")
        table.add_row(
            about["teacher"],
            about["layer"] or "logits",
            about["weights"],
            f"{rows // (ways or 1):,}",
            f"{'x'.join(map(str, shape))} {about['dtype']}",
            f"all {ways}" if ways else str(entry.views),
            f"{entry.bytes / 1e6:,.1f}",
        )
    if entries:
        console().print(table)
    typer.echo(f"{sum(entry.bytes for entry in entries) / 1e6:,.1f} MB in {kept.folder}")
