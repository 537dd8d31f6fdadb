"""Single-image latency."""

from __future__ import annotations

from typing import Literal

from torch import nn

from kdsearch.measure.timing import time_forward
from kdsearch.registry import register
from kdsearch.types import Shape


@register("objective", direction="minimize", unit="ms", label="Latency", known="timed")
def latency_ms(model: nn.Module, shape: Shape, *, percentile: Literal[50, 90, 99] = 50) -> float:
    """Milliseconds of `model` on one image of `shape` (C, H, W), as `time_forward` takes them.

    Args:
        model: Where it is timed.
        shape: Channels, height, width.
        percentile: Of the runs: 50, the median; 90, MLPerf's figure for a single stream; or 99.
    """
    return time_forward(model, shape).percentile(percentile)
