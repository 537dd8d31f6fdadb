"""Distillation of softened outputs."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from kdsearch.registry import register
from kdsearch.types import Searched, Temperature


@register("loss", family="response", paper="Hinton, Vinyals & Dean (2015)")
def kd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: Annotated[Temperature, Searched(1, 20, log=True)] = 4.0,
) -> Tensor:
    """T² · KL(softmax(teacher / T) ‖ softmax(student / T)) of logits (B, C), as (B,).

    The factor T² keeps the size of the gradient when T changes, as the paper asks; some implementations
    leave it out, or divide by the number of classes as well.

    Args:
        temperature: T. Higher shows more of how the teacher ranks the wrong classes.
    """
    log_student = (student_logits / temperature).log_softmax(1)
    log_teacher = (teacher_logits / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(1)
