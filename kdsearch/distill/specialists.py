"""Specialists: teachers that tell only some of the classes apart (Hinton, Vinyals & Dean, 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: How far below its least logit a specialist's logits for classes lie that it does not know.
MARGIN = 10.0


def widened(logits: Tensor, known: Tensor, classes: int) -> Tensor:
    """The logits (B, S) of a specialist as (B, classes).

    Classes that it does not know get its least logit less a margin: nearly no probability, and still finite.

    Args:
        logits: Of the classes that it knows.
        known: Which these are, (S,).
        classes: How many there are in all.
    """
    rest = logits.amin(1, keepdim=True) - MARGIN
    return rest.repeat(1, classes).index_copy(1, known, logits)


def competence(known: Sequence[Tensor | None], classes: int) -> Tensor | None:
    """Which of K teachers knows which class, (K, classes), where `known` is; None where all know all."""
    devices = [columns.device for columns in known if columns is not None]
    if not devices:
        return None
    table = torch.ones(len(known), classes, device=devices[0])
    for row, columns in zip(table, known, strict=True):
        if columns is not None:
            row.zero_()[columns] = 1
    return table


def among_competent(weights: Tensor, competent: Tensor) -> Tensor:
    """The weights (K, B) or (K, 1) of teachers, for images (B,) whose classes only some of them know.

    The share of those that do not goes to those that do, in proportion; where no teacher does, all are 0.

    Args:
        weights: Adding up to one over the teachers, or to less.
        competent: Whether each teacher knows the class of each image, (K, B).
    """
    kept = weights * competent
    total = kept.sum(0)
    return torch.where(total > 0, kept * weights.sum(0) / total.clamp_min(1e-12), torch.zeros_like(kept))
