"""From how much is wrong with each teacher to how much it counts."""

from __future__ import annotations

from torch import Tensor


def complement(shares: Tensor) -> Tensor:
    """(1 − share) / (K − 1) of shares (K, …) that add up to one over K teachers, as these do; 1 for K = 1."""
    others = len(shares) - 1
    return (1 - shares) / others if others else shares.new_ones(shares.shape)
