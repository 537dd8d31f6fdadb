"""One teacher at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.registry import register


@register("ensemble", paper="Fukuda et al. (2017)")
def random(logits: Tensor) -> Tensor:
    """Weight 1 for one of K teachers and 0 for the others (K, 1), drawn anew for every batch, each alike.

    The paper switches teachers from one mini-batch to the next. The expectation of the objective and of its
    gradient are those of `mean`. The draw is torch's, on the device of the logits (K, B, C): each DDP worker
    draws its own.
    """
    drawn = torch.randint(len(logits), (1,), device=logits.device)
    return logits.new_zeros(len(logits), 1).index_fill(0, drawn, 1)
