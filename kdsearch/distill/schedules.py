"""How the learning rate goes: the factor on its peak, at a `progress` from 0 to 1 of all steps."""

from __future__ import annotations

import math

from kdsearch.registry import register
from kdsearch.types import Fraction


@register("schedule", paper="Loshchilov & Hutter (2017)")
def cosine(progress: float, *, final: Fraction = 0.0) -> float:
    """Half a cosine, from 1 down to `final`.

    Args:
        final: Factor at the end.
    """
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


@register("schedule")
def step(progress: float, *, milestones: tuple[Fraction, ...] = (0.6, 0.8), gamma: Fraction = 0.1) -> float:
    """Times `gamma` at each milestone.

    Args:
        milestones: Shares of all steps.
        gamma: Factor at each.
    """
    return gamma ** sum(progress >= milestone for milestone in milestones)


@register("schedule")
def constant(progress: float) -> float:
    """Always 1."""
    return 1.0
