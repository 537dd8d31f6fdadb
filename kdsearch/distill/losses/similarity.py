"""Similarity-preserving distillation: images that are alike to the teacher are to be alike to the student."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from kdsearch.distill.losses._inner import inner
from kdsearch.registry import register


@register("loss", family="relation", paper="Tung & Mori (2019)")
def similarity(student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
    """‖G(teacher) − G(student)‖²_F / B² as the mean of (B,): each image's row of the squares over B.

    G (B, B) holds the inner products of the images' features, each row divided by its norm. Maps are
    flattened, so widths and resolutions may differ; zero when the two agree up to a rotation and a scale
    (and for a batch of one image). Published weights are near 3000.
    """
    return (_gram(student_feature) - _gram(teacher_feature)).square().mean(1)


def _gram(feature: Tensor) -> Tensor:
    rows = feature.flatten(1)
    return F.normalize(inner(rows, rows))
