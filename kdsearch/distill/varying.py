"""The current values of weights and options that change while a student trains."""

from __future__ import annotations

import math
from typing import Any

from kdsearch.spec import shape_of


def value_at(value: Any, progress: float, teacher: str | None = None) -> Any:
    """The current value: of a constant, of a schedule, or of one that differs from teacher to teacher.

    A schedule `{linear: [a, b], until: u}` goes from a at the start to b at progress u, on a straight line or
    half a cosine wave, and stays there.

    Args:
        value: As in a config.
        progress: How much of the training is done, from 0 to 1.
        teacher: Whose value it is.
    """
    if isinstance(value, dict) and "per_teacher" in value:
        return value_at(value["per_teacher"][teacher], progress)
    shape = shape_of(value)
    if shape is None:
        return value
    if shape == "constant":
        return value["constant"]
    start, end = value[shape]
    done = min(1.0, progress / value["until"])
    if shape == "cosine":
        done = (1 - math.cos(math.pi * done)) / 2
    return start + (end - start) * done


def weight_at(weight: Any, progress: float) -> float:
    """The weight of a loss now. A scheduled one is 0 from `until` on: the loss acts up to there."""
    if shape_of(weight) and progress >= weight["until"]:
        return 0.0
    return float(value_at(weight, progress))
