"""Teachers weighted so that what they ask of the student agrees."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from kdsearch.distill.connect import at_least_float32
from kdsearch.distill.ensembles._least_norm import least_norm
from kdsearch.registry import register
from kdsearch.types import Fraction, Searched


@register("ensemble", paper="Du et al. (2020)")
def gradient(
    logits: Tensor,
    student_logits: Tensor,
    temperature: float | Tensor,
    *,
    limit: Annotated[Fraction, Searched(0, 1)] = 0.6,
    unit: bool = False,
) -> Tensor:
    """The w (K, 1) that minimises ½ ‖Σ_k w_k g_k‖² with Σ_k w_k = 1 and 0 ≤ w_k ≤ max(limit, 1/K).

    g_k (C,) is the gradient of T² · KL(softmax(teacher_k / T) ‖ softmax(student / T)) with respect to the
    student's logits, its mean over the batch: T · mean_x (softmax(student / T) − softmax(teacher_k / T)) for
    logits (K, B, C) and student_logits (B, C). T may differ from teacher to teacher, as (K, 1, 1). The
    mixture is the direction that all teachers agree on most nearly: every teacher within the limit is served
    at least as well as the mixture's own norm. A teacher the student already satisfies has a short gradient
    and draws the weight.

    The paper solves for gradients as they are. Its code may first bring them to unit length, and divide the
    weights by the lengths again; its limit then holds in between.

    Args:
        limit: C in the paper: the most weight of one teacher. At 1/K and below all count alike; at 1 the
            mixture is the point of least norm in the convex hull, the multiple-gradient descent direction.
        unit: Take gradients of unit length, as the code's `svm_norm`.
    """
    student = (at_least_float32(student_logits) / temperature).softmax(-1)
    gradients = (
        (temperature * (student - (at_least_float32(logits) / temperature).softmax(2))).mean(1).double()
    )
    lengths = torch.ones_like(gradients[:, :1])
    if unit:
        lengths = torch.linalg.vector_norm(gradients, dim=1, keepdim=True).clamp_min(1e-12)
    directions = gradients / lengths
    weights = least_norm(directions @ directions.mT, limit)[:, None] / lengths
    return (weights / weights.sum()).to(student)
