"""Accuracy in which every class counts the same."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.measure.per_class import counts
from kdsearch.registry import register


@register("objective", direction="maximize", unit="fraction", label="Balanced accuracy", known="predictions")
def balanced_accuracy(logits: Tensor, labels: Tensor) -> float:
    """The mean over classes of the fraction of their images that logits (N, classes) predict, in [0, 1].

    Classes without an image among labels (N,) are left out.

    Brodersen et al., The balanced accuracy and its posterior distribution, 2010.
    """
    right, total, _ = counts(logits, labels)
    return float(torch.nanmean(right / total))
