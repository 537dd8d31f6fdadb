"""Fidelity: how often a student says what its teachers say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from kdsearch.measure._fidelity import against
from kdsearch.registry import register


@register(
    "objective", direction="maximize", unit="fraction", label="Agreement with teachers", known="predictions"
)
def agreement(
    logits: Tensor,
    teacher_logits: Mapping[str, Tensor],
    members: Sequence[str],
    *,
    teacher: str | None = None,
) -> float:
    """The fraction of images, in [0, 1], to which student and teacher give the same class.

    Args:
        logits: The student's, (N, classes).
        teacher_logits: (N, classes) on the same images, by teacher; NaN where a specialist is silent.
        members: The teachers that the student learned from.
        teacher: The one to compare with; by default all members, their probabilities averaged. Without a
            member the figure is NaN.

    Stanton et al., Does Knowledge Distillation Really Work?, 2021.
    """
    learned, taught = against(logits, teacher_logits, members, teacher)
    return float((learned.argmax(dim=1) == taught.argmax(dim=1)).double().mean())
