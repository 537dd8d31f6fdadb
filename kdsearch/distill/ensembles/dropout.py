"""Teachers left out at random, whatever the strategy."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.distill.connect import at_least_float32


def drop(weights: Tensor, rate: float) -> Tensor:
    """The weights (K, B) or (K, 1) with each teacher left out with probability `rate`, for the whole batch.

    Those of the teachers kept are brought to add up to one again. Where nothing would be left, for the batch
    or for an image, all stay as they are. The draw is torch's, on the device of the weights.

    Args:
        weights: Of K teachers, adding up to one over them.
        rate: From 0, which changes nothing, to 1, which never leaves anything and so changes nothing either.
    """
    weights = at_least_float32(weights)
    kept = weights * (torch.rand(len(weights), 1, device=weights.device) >= rate)
    total = kept.sum(0)
    return torch.where(total > 0, kept / total.clamp_min(1e-12), weights)
