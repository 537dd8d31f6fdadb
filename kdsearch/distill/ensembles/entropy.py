"""Teachers weighted, image by image, by how sure they are."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.distill.connect import at_least_float32
from kdsearch.distill.ensembles._complement import complement
from kdsearch.registry import register


@register("ensemble", paper="Kwon et al. (2020)")
def entropy(logits: Tensor) -> Tensor:
    """Weights (1 − H_k / Σ_j H_j) / (K − 1), as (K, B), for logits (K, B, C).

    H_k is the entropy of teacher k's probabilities for the image, at temperature 1. No label is asked for:
    a teacher that is sure and wrong counts as much as one that is sure and right. Teachers that are all
    quite certain count alike; for K = 1 the weight is 1.

    The code published with CA-MKD, where this is a baseline, divides by K rather than K − 1: its weights add
    up to (K − 1)/K.
    """
    entropies = (
        torch.special.entr(at_least_float32(logits).softmax(2)).sum(2) + 1e-12
    )  # Else 0/0 where all are certain.
    return complement(entropies / entropies.sum(0))
