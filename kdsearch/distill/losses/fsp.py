"""The flow of the solution procedure: how one layer's channels go with the next one's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.distill.connect import FeatureShape, as_map, map_shape
from kdsearch.distill.losses._inner import inner
from kdsearch.errors import InputError
from kdsearch.registry import register


@register("loss", family="relation", paper="Yim, Joo, Bae & Kim (2017)", pairs=2)
class fsp(nn.Module):
    """Σ ‖G(student) − G(teacher)‖²_F over consecutive pairs of the matched layers, as (B,).

    G = F1 · F2ᵀ / (H · W) is the FSP matrix (C1, C2) of an image's maps (C1, H, W) and (C2, H, W) in two
    layers; when they differ in resolution the larger is max-pooled to the smaller. Vectors are maps of one
    position. At least two layers have to be matched; teacher and student need no common resolution.

    The paper needs equal widths. Where they differ, a learned 1x1 convolution takes the student's map to
    the teacher's width; equal widths add no parameters. Zero when the matrices agree. RepDistiller takes
    the mean over the elements of G (its weight, 50, is for that) and pools by the average.

    Args:
        reduction: The paper's `sum` over the elements of G, or their `mean`.
        pool: How the larger map of two is brought to the smaller: `max` or `average`.
    """

    def __init__(
        self,
        student_shapes: Sequence[FeatureShape],
        teacher_shapes: Sequence[FeatureShape],
        *,
        reduction: Literal["sum", "mean"] = "sum",
        pool: Literal["max", "average"] = "max",
    ) -> None:
        super().__init__()
        if len(student_shapes) < 2:
            raise InputError(f"the loss 'fsp' needs two matched layers or more, not {len(student_shapes)}")
        widths = ((map_shape(shape)[0] for shape in side) for side in (student_shapes, teacher_shapes))
        self.project = nn.ModuleList(
            nn.Identity() if student == teacher else nn.Conv2d(student, teacher, 1, bias=False)
            for student, teacher in zip(*widths, strict=True)
        )
        self.reduction = reduction
        self.pool = F.adaptive_max_pool2d if pool == "max" else F.adaptive_avg_pool2d

    def forward(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        projected = [p(as_map(f)) for p, f in zip(self.project, student_features, strict=True)]
        student, teacher = self._flows(projected), self._flows([as_map(f) for f in teacher_features])
        squares = [(s - t).square() for s, t in zip(student, teacher, strict=True)]
        reduce = torch.mean if self.reduction == "mean" else torch.sum
        return torch.stack([reduce(s, (1, 2)) for s in squares]).sum(0)

    def _flows(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [self._flow(bottom, top) for bottom, top in pairwise(maps)]

    def _flow(self, bottom: Tensor, top: Tensor) -> Tensor:
        size = min(bottom.shape[2], top.shape[2]), min(bottom.shape[3], top.shape[3])
        bottom, top = (m if m.shape[2:] == size else self.pool(m, size) for m in (bottom, top))
        return inner(bottom.flatten(2), top.flatten(2)) / (size[0] * size[1])
