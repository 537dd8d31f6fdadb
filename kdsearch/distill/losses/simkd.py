"""SimKD: the student's last feature is aligned with the teacher's, whose classifier is then reused."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from kdsearch.distill.connect import FeatureShape, Norm, full, map_shape, one_size
from kdsearch.registry import register
from kdsearch.types import PositiveInt, Searched


@register("loss", family="feature", paper="Chen et al. (2022)", reuses="classifier")
class simkd(nn.Module):
    """Mean square of P(F_s) − F_t for the last features before the classifiers, with a projector P, as (B,).

    Zero where the projection is exact. P is a bottleneck of 1x1, 3x3 and 1x1 convolutions, each with batch
    normalisation and ReLU. The maps meet at the smaller resolution, by averaging; vectors have one position,
    where the 3x3 convolution is a 1x1. The paper writes the square of the norm, its code takes the mean,
    as here, which only scales the weight.

    This is the whole loss of the paper: no labels, no logits. What is used afterwards is the student up to
    its matched layer, `project`, the mean over positions, and the teacher's classifier; the student's own
    classifier learns nothing from it.

    Args:
        squeeze: The teacher's channels over those of the bottleneck: higher is a smaller projector.
        rectified: End P with a ReLU, as the paper does: right where the teacher's feature follows one.
    """

    def __init__(
        self,
        student_shape: FeatureShape,
        teacher_shape: FeatureShape,
        *,
        squeeze: Annotated[PositiveInt, Searched(1, 8, log=True)] = 2,
        rectified: bool = True,
    ) -> None:
        super().__init__()
        (student, *near), (teacher, *far) = map_shape(student_shape), map_shape(teacher_shape)
        middle = max(teacher // squeeze, 1)
        kernel = 1 if min(*near, *far) == 1 else 3
        layers = [*_step(student, middle), *_step(middle, middle, kernel), *_step(middle, teacher)]
        self.projector = nn.Sequential(*(layers if rectified else layers[:-1]))

    def project(self, student_map: Tensor) -> Tensor:
        """P of a student map (B, C, H, W), as (B, C of the teacher, H, W)."""
        projected: Tensor = self.projector(student_map)
        return projected

    def forward(self, student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
        student, teacher = one_size(student_feature, teacher_feature)
        return (full(self.project(student)) - full(teacher)).square().flatten(1).mean(1)


def _step(inputs: int, outputs: int, kernel: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), Norm(outputs), nn.ReLU()]
