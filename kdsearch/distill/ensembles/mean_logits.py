"""One teacher made of all: the mean of their logits."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register


@register("ensemble", paper="Hinton, Vinyals & Dean (2015)", merges=True)
def mean_logits(
    logits: Tensor, *, normalise: Literal["none", "standardise"] = "none"
) -> tuple[Tensor, Tensor]:
    """(1/K) Σ_k z_k (1, B, C) of logits (K, B, C), with its weight 1 (1, 1).

    Its softmax is the geometric mean of the teachers' probabilities, brought to add up to one, at every
    temperature: sharper than `mean`, and a class that one teacher rules out stays ruled out. A teacher with
    larger logits counts for more, unless they are standardised: σ̄ · (z_k − mean_c z_k) / σ_k, where σ_k is
    the spread of teacher k's centred logits over the batch and all classes, and σ̄ the mean of the σ_k, which
    keeps the scale, and so the meaning of a temperature. For K = 1 either is the teacher itself.

    Args:
        normalise: `standardise` brings all teachers to one scale first.
    """
    logits = at_least_float32(logits)
    if normalise == "standardise":
        logits = logits - logits.mean(2, keepdim=True)
        spread = logits.square().mean((1, 2), keepdim=True).sqrt()
        logits = logits * (spread.mean() / spread.clamp_min(1e-12))
    return logits.mean(0, keepdim=True), logits.new_ones(1, 1)
