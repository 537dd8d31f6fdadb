"""Cross-entropy with the labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from kdsearch.registry import register
from kdsearch.types import Fraction


@register("loss", family="labels", paper="Szegedy et al. (2016) for the smoothing")
def ce(student_logits: Tensor, labels: Tensor, *, label_smoothing: Fraction = 0.0) -> Tensor:
    """Cross-entropy of the student's logits (B, C) with the labels (B,), as (B,).

    Args:
        label_smoothing: Share of the target spread evenly over all classes.
    """
    return F.cross_entropy(student_logits, labels, reduction="none", label_smoothing=label_smoothing)
