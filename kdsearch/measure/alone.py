"""Timed figures of a student that is measured with nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from kdsearch.measure._measure import measure_architecture
from kdsearch.measure.figure import Figure
from kdsearch.measure.timing import time_forward
from kdsearch.types import Shape


def measure_alone(model: nn.Module, shape: Shape, figures: Sequence[Figure]) -> dict[str, float]:
    """The latency in full, and those of the figures that need a clock, by metric.

    Every figure that is a percentile of the latency is read off one measurement. `estimated` is 0: within a
    search it is 1 for a student that was timed while other trials ran.
    """
    latency = time_forward(model, shape)
    percentiles = [figure for figure in figures if figure.part.name == "latency_ms"]
    others = [figure for figure in figures if figure not in percentiles]
    return {
        "latency_ms": latency.p50_ms,
        "latency_p90_ms": latency.p90_ms,
        "latency_p99_ms": latency.p99_ms,
        "latency_iqr_ms": latency.iqr_ms,
        "latency_runs": latency.runs,
        **{figure.name: latency.percentile(figure.options.get("percentile", 50)) for figure in percentiles},
        **measure_architecture(model, shape, others, bases=("timed",)),
        "estimated": 0.0,
    }
