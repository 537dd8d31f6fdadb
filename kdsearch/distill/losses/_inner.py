"""Inner products that stay exact when the networks run under autocast."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.distill.connect import full


def inner(left: Tensor, right: Tensor) -> Tensor:
    """left · rightᵀ of (…, M, D) and (…, N, D), as (…, M, N), in float32 at the least, autocast or not."""
    with torch.autocast(left.device.type, enabled=False):
        return full(left) @ full(right).mT
