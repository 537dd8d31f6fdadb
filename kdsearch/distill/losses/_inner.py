"""Inner products that stay exact when the networks run under autocast."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.distill.connect import at_least_float32


def inner(left: Tensor, right: Tensor) -> Tensor:
    """left · rightᵀ of (…, M, D) and (…, N, D), as (…, M, N), in float32 at the least, autocast or not."""
    with torch.autocast(left.device.type, enabled=False):
        return at_least_float32(left) @ at_least_float32(right).mT
