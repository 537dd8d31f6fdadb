"""Neuron selectivity transfer: the student's channels are distributed like the teacher's."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from kdsearch.distill.connect import at_least_float32, one_size, require_positions
from kdsearch.registry import register


@register("loss", family="feature", paper="Huang & Wang (2017)", positions=True)
def nst(
    student_feature: Tensor,
    teacher_feature: Tensor,
    *,
    kernel: Literal["linear", "poly", "gaussian"] = "poly",
) -> Tensor:
    """MMD² between the channels of two maps, of any number, as (B,).

    mean_ij k(t_i, t_j) + mean_ij k(s_i, s_j) − 2 mean_ij k(t_i, s_j), where s_i and t_j are channels
    F_c / ‖F_c‖₂ over their positions. Zero for the same set of channels in any order; no parameters.
    The maps meet at the smaller resolution, by averaging. The paper weighs the loss by λ/2. Needs more than
    one position: a normalised number says nothing.

    Args:
        kernel: `linear` x·y, `poly` (x·y)² as in the paper's best results, or `gaussian`
            exp(−‖x − y‖²/2σ²) with σ² the mean ‖t_i − s_j‖² of the image.
    """
    require_positions("nst", student_feature, teacher_feature)
    student, teacher = (
        F.normalize(at_least_float32(x).flatten(2), dim=2) for x in one_size(student_feature, teacher_feature)
    )
    across = at_least_float32(teacher @ student.mT)
    if kernel == "gaussian":
        # Between unit vectors ‖x − y‖² = 2 (1 − x·y); a dead channel counts as at right angles to all.
        variance = 2 * (1 - across).mean((1, 2), keepdim=True).detach().clamp_min(1e-6)
    means = []
    for dots in (at_least_float32(teacher @ teacher.mT), at_least_float32(student @ student.mT), across):
        if kernel == "poly":
            dots = dots.square()
        elif kernel == "gaussian":
            dots = ((dots - 1) / variance).exp()
        means.append(dots.mean((1, 2)))
    return means[0] + means[1] - 2 * means[2]
