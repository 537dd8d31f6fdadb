"""Distillation of standardised logits."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register
from kdsearch.types import Searched, Temperature


@register("loss", family="response", paper="Sun, Ren, Li, Wang & Cao (2024)")
def logit_standardized_kd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: Annotated[Temperature, Searched(1, 8, log=True)] = 2.0,
) -> Tensor:
    """T² · KL(softmax(z(teacher) / T) ‖ softmax(z(student) / T)) of logits (B, C), as (B,).

    z subtracts the mean of an image's logits and divides by their standard deviation, so that the student
    copies the teacher's ranking and need not copy its scale: zero when the two agree up to a shift and a
    positive factor for each image. The standard deviation is the paper's, over C; the published code's is
    over C − 1, which is the same as a temperature lower by √((C − 1) / C).

    Args:
        temperature: T, the base temperature: that of logits with a standard deviation of one.
    """
    student = (_standardized(student_logits) / temperature).log_softmax(1)
    teacher = (_standardized(teacher_logits) / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(student, teacher, reduction="none", log_target=True).sum(1)


def _standardized(logits: Tensor) -> Tensor:
    # The epsilon, far below the variance of any trained logits, is for a student that begins at zero.
    return F.layer_norm(at_least_float32(logits), logits.shape[1:], eps=1e-8)
