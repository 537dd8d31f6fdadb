"""Relational distillation: distances and angles between images."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsearch.distill.connect import at_least_float32
from kdsearch.distill.losses._inner import inner
from kdsearch.registry import register
from kdsearch.types import NonNegative, Searched


@register("loss", family="relation", paper="Park, Kim, Lu & Cho (2019)")
def rkd(
    student_feature: Tensor,
    teacher_feature: Tensor,
    *,
    distance: Annotated[NonNegative, Searched(0.5, 50, log=True)] = 1.0,
    angle: Annotated[NonNegative, Searched(1, 100, log=True)] = 2.0,
) -> Tensor:
    """distance · mean_k h(ψ_jk) + angle · mean_ik h(θ_ijk) for the image j, as (B,).

    ψ_jk is the Euclidean distance of two images' features over the mean of all such distances that are not
    zero, θ_ijk the cosine of the angle at j between i and k, and h the Huber function (δ = 1) of the
    student's less the teacher's. Maps are flattened, so widths and resolutions may differ. Zero when the two
    agree up to a rotation, a shift and a scale, and for a batch of one image.

    The paper sums over all pairs and triplets of different images. Like the authors' code, on whose scale
    the published weights are, this is the mean over all B² and B³, in which an image paired with itself
    adds nothing. Memory is of order B³, whatever the size of the features.

    Args:
        distance: Weight of the distances. The paper takes 1 for metric learning, 25 for classification.
        angle: Weight of the angles, twice that of the distances in the paper. At 0 they are not computed.
    """
    student, teacher = _Relations(student_feature), _Relations(teacher_feature)
    loss = distance * F.huber_loss(student.scaled(), teacher.scaled(), reduction="none").mean(1)
    if not angle:
        return loss
    return loss + angle * F.huber_loss(student.cosines(), teacher.cosines(), reduction="none").mean((1, 2))


class _Relations:
    """The distances (B, B) between images, and what follows from them."""

    def __init__(self, feature: Tensor) -> None:
        rows = at_least_float32(feature.flatten(1))
        rows = rows - rows.mean(0)  # Distances and angles stay, and float32 loses less of them.
        self.gram = inner(rows, rows)
        self.norms = self.gram.diagonal()
        largest = self.norms[:, None] + self.norms
        squares = largest - 2 * self.gram
        self.apart = squares > 1e-6 * largest  # Else nearer than float32 can tell: one point, no gradient.
        self.distances = torch.where(self.apart, squares, 1).sqrt() * self.apart

    def scaled(self) -> Tensor:
        """Distances over the mean of those that are not zero."""
        return self.distances * (self.apart.sum().clamp_min(1) / self.distances.sum().clamp_min(1e-12))

    def cosines(self) -> Tensor:
        """The cosine of the angle at j between i and k, as (j, i, k); 0 where one of them is at j too."""
        products = self.gram - self.gram[:, :, None] - self.gram[:, None] + self.norms[:, None, None]
        inverse = torch.where(self.apart, self.distances, 1).reciprocal() * self.apart
        return products * inverse[:, :, None] * inverse[:, None]
