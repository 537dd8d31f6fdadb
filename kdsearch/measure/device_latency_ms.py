"""Latency as the target device has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdsearch.measure._table import lookup
from kdsearch.registry import register


@register("objective", direction="minimize", unit="ms", label="Device latency", known="architecture")
def device_latency_ms(
    architecture: Mapping[str, Any], deploy: Mapping[str, Any] | None = None, *, table: str
) -> float:
    """Milliseconds of a student on a device that is not here, read from a table of what was measured there.

    Args:
        architecture: The name of the model and its options.
        deploy: The form in which it ships; what it does not say may be anything.
        table: A CSV file with the columns `name`, `latency_ms`, and one for each option, and each key of
            `deploy`, that tells students apart. An empty cell stands for any value.

    Raises:
        InputError: The table cannot be read, is not well formed, or does not know the student.
    """
    return lookup(table, "latency_ms", architecture, deploy or {})
