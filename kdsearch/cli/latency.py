"""`kdsearch latency`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kdsearch.cli.options import ExportFolder, TrackingUri, tracking_uri


def latency(
    export: ExportFolder,
    device: Annotated[
        Literal["cpu", "cuda"] | None,
        typer.Option(help="Of this machine; by default the one that `deploy` names, or the CPU"),
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="Note the figures on the run it comes from")] = False,
    table: Annotated[
        Path | None,
        typer.Option(help="Enter the median into this CSV file, for `device_latency_ms`", metavar="FILE.csv"),
    ] = None,
    uri: TrackingUri = None,
) -> None:
    """Measure the latency of an exported student on this machine."""
    from kdsearch.export import open_export
    from kdsearch.export.latency import enter_latency, measure_latency, send_latency

    opened = open_export(export)
    form = opened.config.deploy
    place = device or form.device or "cpu"
    taken, conditions = measure_latency(opened, place)
    typer.echo(f"{opened.ships}: calls of {form.batch} on {form.threads} threads, {taken.runs} runs")
    for name, value in conditions.items():
        typer.echo(f"{name:<10} {value}")
    for name, ms in (("p50", taken.p50_ms), ("p90", taken.p90_ms), ("p99", taken.p99_ms)):
        typer.echo(f"{name:<10} {ms:.4g} ms")
    if table is not None:
        typer.echo(f"entered into {table}: {enter_latency(opened, taken, table, place)}")
    if send:
        for metric in send_latency(opened, taken, conditions, tracking_uri(uri)):
            typer.echo(f"sent to run {opened.origin['run']}: {metric}")
