"""What a student costs and what it is worth: one objective a file, found by name in the registry."""

from __future__ import annotations

from kdsearch.measure._measure import (
    Known,
    known,
    measure_architecture,
    measure_predictions,
    objectives,
)
from kdsearch.measure.device import device_name
from kdsearch.measure.timing import Latency, time_forward
from kdsearch.measure.timings import Timings

__all__ = [
    "Known",
    "Latency",
    "Timings",
    "device_name",
    "known",
    "measure_architecture",
    "measure_predictions",
    "objectives",
    "time_forward",
]
