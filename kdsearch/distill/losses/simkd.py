"""SimKD: the student's last feature is aligned with the teacher's, whose classifier is then reused."""

from __future__ import annotations

from torch import Tensor

from kdsearch.distill.connect import at_least_float32, one_size
from kdsearch.registry import register


@register("loss", family="feature", paper="Chen et al. (2022)", matching="classifier")
def simkd(student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
    """Mean square of P(F_s) − F_t for the last features before the classifiers, as (B,).

    P is the projector of the model `reused`, which the student becomes: its body, P, and the classifier of
    the teacher, kept as it is. With several teachers that is the first one in use. Maps meet at the smaller
    resolution, by averaging. The paper writes the square of the norm, its code takes the mean, as here,
    which only scales the weight.

    This is the whole loss of the paper: no labels, no logits.
    """
    student, teacher = one_size(student_feature, teacher_feature)
    return (at_least_float32(student) - at_least_float32(teacher)).square().flatten(1).mean(1)
