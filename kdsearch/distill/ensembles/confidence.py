"""Teachers weighted, image by image, by how well they know its label."""

from __future__ import annotations

from torch import Tensor

from kdsearch.distill.connect import at_least_float32
from kdsearch.distill.ensembles._complement import complement
from kdsearch.registry import register


@register("ensemble", paper="Zhang, Chen & Wang (2022)")
def confidence(logits: Tensor, labels: Tensor) -> Tensor:
    """Weights (1 − softmax_k(CE_k)) / (K − 1), as (K, B), for logits (K, B, C) and labels (B,).

    CE_k is the cross-entropy of teacher k's output, at temperature 1, with the label. No teacher gets more
    than 1/(K − 1): of two, one that is far better takes all; of many, the worst is merely left out. For
    K = 1 the weight is 1. CA-MKD uses the same weights on hints.

    The authors' code divides the loss by K once more, so that its weight of 1 is K here.
    """
    log_probabilities = at_least_float32(logits).log_softmax(2)
    index = labels.expand(len(logits), -1)[:, :, None]
    return complement((-log_probabilities.gather(2, index)[:, :, 0]).softmax(0))
