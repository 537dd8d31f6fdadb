"""Probabilistic knowledge transfer: who is whose neighbour."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsearch.distill.connect import at_least_float32
from kdsearch.distill.losses._inner import inner
from kdsearch.registry import register

#: As in the authors' code: what a probability is taken for at least, before its logarithm.
LEAST = 1e-7


@register("loss", family="relation", paper="Passalis & Tefas (2018)")
def pkt(student_feature: Tensor, teacher_feature: Tensor, *, self_similarity: bool = False) -> Tensor:
    """Σ_i p(i | j) · log(p(i | j) / q(i | j)) for the image j, as (B,): p the teacher's, q the student's.

    The probability that i is a neighbour of j ≠ i is (1 + cosine of their features) / 2, over the sum of it
    for all i ≠ j. Maps are flattened, so widths and resolutions may differ. Zero when the two agree up to a
    rotation and the scale of each image, and for a batch of one or two images, where nobody is nearer.

    The published code counts each image as a neighbour of itself, and divides by B once more, which a weight
    (there 30000) makes up for: the same results need `self_similarity` and that weight over B.

    Args:
        self_similarity: Whether an image is a neighbour of itself, as in the published code.
    """
    student, teacher = (_neighbours(f, self_similarity) for f in (student_feature, teacher_feature))
    return (teacher * (teacher.clamp_min(LEAST).log() - student.clamp_min(LEAST).log())).sum(1)


def _neighbours(feature: Tensor, self_similarity: bool) -> Tensor:
    """p(i | j) as (j, i)."""
    rows = F.normalize(at_least_float32(feature.flatten(1)))
    kernel = (inner(rows, rows) + 1) / 2
    if not self_similarity:
        kernel = kernel * (1 - torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device))
    return kernel / kernel.sum(1, keepdim=True).clamp_min(LEAST)
