"""`kdsearch predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.options import ExportFolder


def predict(
    export: ExportFolder,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Image files")],
) -> None:
    """Print the label that an exported student gives each image, and how sure it is."""
    from kdsearch.export import open_export
    from kdsearch.export.predict import predict as labels

    for found in labels(open_export(export), images):
        typer.echo(f"{found.path}\t{found.label}\t{found.probability:.3f}")
