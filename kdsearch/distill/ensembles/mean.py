"""All teachers alike."""

from __future__ import annotations

from torch import Tensor

from kdsearch.registry import register


@register("ensemble", paper="Hinton, Vinyals & Dean (2015)")
def mean(logits: Tensor) -> Tensor:
    """Weights 1/K (K, 1) for logits (K, B, C): the mean of the teachers' probabilities."""
    return logits.new_full((len(logits), 1), 1 / len(logits))
