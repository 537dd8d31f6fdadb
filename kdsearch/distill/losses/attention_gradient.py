"""Gradient attention transfer: the student is sensitive to what the teacher is sensitive to."""

from __future__ import annotations

from torch import Tensor

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register


@register("loss", family="feature", paper="Zagoruyko & Komodakis (2017)")
def attention_gradient(student_image_gradient: Tensor, teacher_image_gradient: Tensor) -> Tensor:
    """½ ‖J_s − J_t‖² of the gradients J = ∂CE(x, y)/∂x (B, C, H, W) of each image's cross-entropy, as (B,).

    Zero where both gradients agree; no parameters. J belongs to the loss of one image, not to the mean over
    a batch, which would make this smaller by the square of the batch size. The student's J keeps its graph:
    training differentiates twice. The paper's formula shows a norm without a square; the gradient that it
    derives from it, β (J_s − J_t) ∂²CE/∂w∂x, is that of half the square.
    """
    return (
        at_least_float32(student_image_gradient) - at_least_float32(teacher_image_gradient)
    ).square().flatten(1).sum(1) / 2
