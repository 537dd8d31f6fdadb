"""Knowledge review: deep features of the student are fused into shallow ones, each taught by its teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.distill.connect import FeatureShape, SafeBatchNorm, as_map, at_least_float32, map_shape
from kdsearch.registry import register
from kdsearch.types import PositiveInt, Searched


@register("loss", family="feature", paper="Chen, Liu, Zhao & Jia (2021)")
class reviewkd(nn.Module):
    """Σ over matched layers of HCL(ABF(F_s^i, residual of the deeper layers), F_t^i), as (B,).

    ABF, from the deepest pair to the shallowest: x = BN(conv1x1(F_s^i)); x ← a₁x + a₂y, where y is the
    deeper residual, resized to x, and a = σ(conv1x1([x, y])) (B, 2, H, W); x at the teacher's resolution is
    the next residual, and BN(conv3x3(x)) is compared. HCL is the mean square at full resolution and, each
    of half the weight of the one before, at 4x4, 2x2 and 1x1 where these are smaller, over the sum of the
    weights. Zero where every fused feature equals its teacher's.

    The paper does not give the weights of the levels; these are the authors' code's. That code raises the
    weight of the loss over the first 20 epochs, which is the weight schedule's business. Pairs are taken in
    the order given, from shallow to deep.

    Args:
        width: Most channels of the residual, which has at most those of the deepest student layer.
    """

    def __init__(
        self,
        student_shapes: Sequence[FeatureShape],
        teacher_shapes: Sequence[FeatureShape],
        *,
        width: Annotated[PositiveInt, Searched(64, 512, log=True)] = 512,
    ) -> None:
        super().__init__()
        students, teachers = (
            [map_shape(s)[0] for s in student_shapes],
            [map_shape(t)[0] for t in teacher_shapes],
        )
        width = min(width, students[-1])
        self.fusions = nn.ModuleList(
            _Fusion(student, width, teacher, fused=number + 1 < len(students))
            for number, (student, teacher) in enumerate(zip(students, teachers, strict=True))
        )

    def forward(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        residual: Tensor | None = None
        losses = []
        for fusion, student, teacher in zip(
            reversed(self.fusions), reversed(student_features), reversed(teacher_features), strict=True
        ):
            target = as_map(teacher)
            output, residual = fusion(as_map(student), residual, target.shape[2:])
            losses.append(_context(at_least_float32(output), at_least_float32(target)))
        return torch.stack(losses).sum(0)


class _Fusion(nn.Module):
    """Attention-based fusion (ABF) of a student map with the residual of the deeper layers."""

    def __init__(self, student: int, width: int, teacher: int, *, fused: bool) -> None:
        super().__init__()
        self.narrow = nn.Sequential(nn.Conv2d(student, width, 1, bias=False), SafeBatchNorm(width))
        self.attend = nn.Conv2d(2 * width, 2, 1) if fused else None
        self.widen = nn.Sequential(
            nn.Conv2d(width, teacher, 3, padding=1, bias=False), SafeBatchNorm(teacher)
        )

    def forward(
        self, student: Tensor, residual: Tensor | None, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """What is compared with the teacher, at its resolution `size`, and the residual for the next pair."""
        x = self.narrow(student)
        if self.attend is not None and residual is not None:
            # Of [x, y], which is twice as wide, no copy is made: each half of the weights has its own input,
            # and that of y is applied before y is enlarged.
            mine, theirs = self.attend.weight.chunk(2, 1)
            logits = F.conv2d(x, mine, self.attend.bias) + _enlarged(F.conv2d(residual, theirs), x.shape[2:])
            own, deeper = logits.sigmoid().chunk(2, 1)
            x = torch.addcmul(own * x, deeper, _enlarged(residual, x.shape[2:]))
        x = _enlarged(x, size)
        return self.widen(x), x


def _enlarged(feature: Tensor, size: tuple[int, ...]) -> Tensor:
    """A map at another resolution, by its nearest values; not copied where it has this one already."""
    return feature if feature.shape[2:] == size else F.interpolate(feature, size)


def _context(student: Tensor, teacher: Tensor) -> Tensor:
    """Hierarchical context loss (HCL) of two maps of one shape, as (B,)."""
    total, weight, weights = _mean_square(student, teacher), 1.0, 1.0
    for side in (4, 2, 1):
        if side < min(teacher.shape[2:]):
            weight /= 2
            weights += weight
            pooled = (F.adaptive_avg_pool2d(x, side) for x in (student, teacher))
            total = total + weight * _mean_square(*pooled)
    return total / weights


def _mean_square(student: Tensor, teacher: Tensor) -> Tensor:
    return (student - teacher).square().flatten(1).mean(1)
