"""The latency of an export on this machine, and the way back to its run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.errors import InputError
from kdsearch.export.load import Export

if TYPE_CHECKING:
    from kdsearch.measure import Latency


def measure_latency(export: Export, device: str) -> tuple[Latency, dict[str, str]]:
    """Time the student as it ships, with nothing beside it if the caller sees to that.

    Args:
        export: Called with as many images, on as many threads, as its config says.
        device: `cpu` or `cuda`.

    Returns:
        The latency of a call, and what it depends on beside the model: see `kdsearch.measure.conditions`.

    Raises:
        InputError: When there is no such device here.
    """
    from kdsearch.measure import conditions, time_forward

    form = export.form(device)
    taken = time_forward(form, tuple(export.described["shape"]))
    return taken, conditions(form.deployment.device, form.deployment.runtime)


def send_latency(export: Export, latency: Latency, conditions: dict[str, str], uri: str) -> list[str]:
    """Note a latency on the run that an export comes from; returns the names of the metrics.

    They hold the name of the device, so that those of several machines stand side by side.

    Raises:
        InputError: When the export comes from no run, or MLflow has none of that id.
    """
    from kdsearch.tracking import add_to_run

    if "run" not in export.origin:
        raise InputError(
            f"{export.folder} does not come from a run of a search: there is nowhere to send a latency"
        )
    device = re.sub(r"[^A-Za-z0-9]+", "_", conditions["device"]).strip("_")
    named: dict[str, Any] = {
        f"latency_ms/{device}": latency.p50_ms,
        f"latency_p90_ms/{device}": latency.p90_ms,
        f"latency_p99_ms/{device}": latency.p99_ms,
    }
    tags = {f"kdsearch.latency.{device}": ", ".join(f"{key} {value}" for key, value in conditions.items())}
    add_to_run(uri, export.origin["run"], named, tags)
    return list(named)


def enter_latency(export: Export, latency: Latency, table: Path, device: str) -> str:
    """Enter the median on `device` into a table that `device_latency_ms` reads; returns the row in words.

    Raises:
        InputError: When the file is no such table, or says something of that student already.
    """
    from kdsearch.measure import enter
    from kdsearch.space import describe_form, describe_model

    tree = export.config.tree("student", "deploy")
    student, form = tree["student"], {**tree["deploy"], "device": device}
    enter(str(table), "latency_ms", student, form, latency.p50_ms)
    return f"{describe_model(student)} as {describe_form(form)}"
