"""Averaged outputs, and a vote on which images are alike."""

from __future__ import annotations

from torch import Tensor

from kdsearch.distill.ensembles.mean import mean
from kdsearch.registry import register


@register("ensemble", paper="You, Xu, Xu & Tao (2017)", joins="relative_dissimilarity")
def vote(logits: Tensor) -> Tensor:
    """Weights 1/K (K, 1) for logits (K, B, C), joined to the loss `relative_dissimilarity`.

    The outputs are averaged as by `mean`. The vote is on intermediate layers, where teachers cannot be
    averaged: which of two images is nearer to a third. That half is a loss with a weight, a margin and
    layers of its own.
    """
    return mean(logits)
