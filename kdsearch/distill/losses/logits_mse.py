"""Regression on the teacher's logits."""

from __future__ import annotations

from torch import Tensor

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register


@register("loss", family="response", paper="Ba & Caruana (2014)")
def logits_mse(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """½ ‖student − teacher‖² of logits (B, C), as (B,): zero only when they are equal.

    The paper's sum over the classes; many implementations take the mean of the squares, which is this over
    C / 2. For logits of zero mean `kd` tends to this over C at a high temperature.
    """
    return (at_least_float32(student_logits) - at_least_float32(teacher_logits)).square().sum(1) / 2
