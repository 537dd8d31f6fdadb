"""Expected calibration error."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.registry import register
from kdsearch.types import PositiveInt


@register("objective", direction="minimize", unit="fraction", label="Calibration error", known="predictions")
def calibration_error(
    logits: Tensor, labels: Tensor, *, bins: PositiveInt = 15, adaptive: bool = False
) -> float:
    """How far confidence and accuracy lie apart, in [0, 1]: Σ_b (n_b / N) |accuracy_b - confidence_b|.

    Confidence is the largest probability of the softmax of logits (N, classes).

    Args:
        logits: Of the whole split.
        labels: (N,), class indices.
        bins: Of confidence.
        adaptive: Bins that hold the same number of images each (or one more), in the order of confidence,
            instead of bins (0, 1/bins], (1/bins, 2/bins], … of the same width.

    Guo et al., On Calibration of Modern Neural Networks, 2017; equal mass: Nguyen and O'Connor, 2015.
    """
    confidence, named = logits.double().softmax(dim=1).max(dim=1)
    right = (named == labels).double()
    gap = right - confidence
    if adaptive:
        order = confidence.argsort(stable=True)
        parts = gap[order].tensor_split(bins)
        return float(torch.stack([part.sum() for part in parts]).abs().sum() / len(labels))
    bin_of = ((confidence * bins).ceil().long() - 1).clamp(0, bins - 1)
    sums = torch.zeros(bins, dtype=torch.float64).index_add(0, bin_of, gap)
    return float(sums.abs().sum() / len(labels))
