"""Attention transfer: the student looks where the teacher looks."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from annotated_types import Interval
from torch import Tensor
from torch.nn import functional as F

from kdsearch.distill.connect import as_map, at_least_float32, one_size, require_positions
from kdsearch.registry import register
from kdsearch.types import Searched


@register("loss", family="feature", paper="Zagoruyko & Komodakis (2017)", positions=True)
def attention(
    student_feature: Tensor,
    teacher_feature: Tensor,
    *,
    p: Annotated[float, Interval(ge=1), Searched(1, 4)] = 2.0,
    variant: Literal["paper", "code"] = "paper",
) -> Tensor:
    """‖Q_s/‖Q_s‖₂ − Q_t/‖Q_t‖₂‖₂ with Q = vec Σ_c |F_c|^p, of maps or tokens, as (B,).

    Zero where both spread their energy alike over the image, whatever its size; no parameters. Attention
    maps of different resolutions meet at the smaller, by averaging. The paper weighs this norm by β/2. Its
    published code instead pools the *features* and takes the *mean of squares* over positions, with
    β = 1000: most published tables rest on that, and `variant` offers it. Needs more than one position.

    Args:
        p: The power: higher looks only at the strongest activations.
        variant: `paper` for the norm, `code` for the mean of squares behind published tables.
    """
    require_positions("attention", student_feature, teacher_feature)
    student, teacher = as_map(student_feature), as_map(teacher_feature)
    if variant == "code":
        student, teacher = one_size(student, teacher)
    student, teacher = one_size(_energy(student, p), _energy(teacher, p))
    difference = F.normalize(student.flatten(1)) - F.normalize(teacher.flatten(1))
    return torch.linalg.vector_norm(difference, dim=1) if variant == "paper" else difference.square().mean(1)


def _energy(feature: Tensor, p: float) -> Tensor:
    """Σ_c |F_c|^p of a map (B, C, H, W), as (B, 1, H, W)."""
    return at_least_float32(feature).abs().pow(p).sum(1, keepdim=True)
