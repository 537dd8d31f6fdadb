"""A gate that learns which teacher to trust on which image."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register
from kdsearch.types import Fraction, Searched


@register("ensemble", paper="Liu, Zhang & Wang (2020)")
class learned(nn.Module):
    """Weights (1 − s) · softmax_k(θ_k · p_k) + s/K, as (K, B), for logits (K, B, C).

    p_k = softmax(z_k) are teacher k's probabilities for the image, and θ_k (C,) what is learned of the
    teacher: how far to trust it where it sees each class. It starts at 0, all teachers alike, and is trained
    with the student, on the same objective. That objective is linear in the weights, so that the gate drifts
    to the teacher whose loss is least, the one *easiest* to follow: s keeps it from collapsing, by leaving
    every teacher s/K at the least.

    AMTML-KD compares θ_k with a pooled feature of the *student* by a learned vector, vᵀ(θ_k ∘ feature), and
    has no s. Here the teachers' own outputs are looked at, which asks for no layer, and v is part of θ.

    Args:
        smoothing: s, the share that is spread evenly. At 1 it is `mean`.
    """

    def __init__(
        self,
        members: tuple[str, ...],
        classes: int,
        *,
        smoothing: Annotated[Fraction, Searched(0, 0.5)] = 0.1,
    ) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(len(members), classes))
        self.smoothing = smoothing

    def forward(self, logits: Tensor) -> Tensor:
        scores = (self.theta[:, None] * at_least_float32(logits).softmax(2)).sum(2)
        return (1 - self.smoothing) * scores.softmax(0) + self.smoothing / len(scores)
