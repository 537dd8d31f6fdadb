"""Teachers left out at random, whatever the strategy."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.data import to_device
from kdsearch.distill.connect import at_least_float32


def staying(count: int, rate: float) -> Tensor:
    """Which of `count` teachers are not left out of a batch (count,), each being so with probability `rate`.

    All stay where none would. The draw is torch's, on the host, where it tells which outputs are merged.

    Args:
        count: Of teachers.
        rate: From 0, which leaves none out, to 1, which would leave out all and so leaves none out either.
    """
    kept = torch.rand(count) >= rate
    return kept if bool(kept.any()) else torch.ones_like(kept)


def drop(weights: Tensor, kept: Tensor) -> Tensor:
    """The weights (K, B) or (K, 1) of the teachers that are kept (K,), brought to add up to one again.

    Where nothing would be left, for the batch or for an image, all stay as they are.
    """
    weights = at_least_float32(weights)
    rest = weights * to_device(kept, weights.device)[:, None]
    total = rest.sum(0)
    return torch.where(total > 0, rest / total.clamp_min(1e-12), weights)
