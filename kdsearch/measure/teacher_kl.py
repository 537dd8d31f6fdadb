"""Fidelity: how far a student's probabilities lie from its teachers'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from kdsearch.measure._fidelity import against
from kdsearch.registry import register


@register("objective", direction="minimize", unit="nats", label="KL from teachers", known="predictions")
def teacher_kl(
    logits: Tensor,
    teacher_logits: Mapping[str, Tensor],
    members: Sequence[str],
    *,
    teacher: str | None = None,
) -> float:
    """The mean over images of KL(teacher ‖ student) at temperature 1, in nats.

    Args:
        logits: The student's, (N, classes).
        teacher_logits: (N, classes) on the same images, by teacher; NaN where a specialist is silent.
        members: The teachers that the student learned from.
        teacher: The one to compare with; by default all members, their probabilities averaged. Without a
            member the figure is NaN.

    Stanton et al., Does Knowledge Distillation Really Work?, 2021.
    """
    learned, taught = against(logits, teacher_logits, members, teacher)
    return float((taught.exp() * (taught - learned)).sum(dim=1).mean())
