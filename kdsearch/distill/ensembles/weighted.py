"""Fixed or searched weights."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.data import to_device
from kdsearch.registry import register
from kdsearch.types import NonNegative


@register("ensemble")
def weighted(
    logits: Tensor, members: tuple[str, ...], *, weights: dict[str, NonNegative] | None = None
) -> Tensor:
    """A constant weight (K, 1) for each teacher, of those with logits (K, B, C).

    Args:
        weights: By teacher, brought to add up to one over the members; a teacher not named has 0. Where that
            leaves every member 0 all count alike. Search them evenly over the simplex with `{simplex: all}`.
    """
    given = weights or {}
    if not any(given.get(member) for member in members):
        given = dict.fromkeys(members, 1.0)
    chosen = torch.tensor([given.get(member, 0.0) for member in members], dtype=torch.float64)[:, None]
    return to_device((chosen / chosen.sum()).to(logits.dtype), logits.device)
