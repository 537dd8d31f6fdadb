"""Single-image latency."""

from __future__ import annotations

from torch import nn

from kdsearch.measure.timing import time_forward
from kdsearch.registry import register
from kdsearch.types import Shape


@register("objective", direction="minimize", unit="ms", label="Latency", known="timed")
def latency_ms(model: nn.Module, shape: Shape) -> float:
    """Median milliseconds of `model` on one image of `shape` (C, H, W), as `time_forward` takes them."""
    return time_forward(model, shape).median_ms
