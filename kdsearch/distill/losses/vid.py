"""Variational information distillation: how well the student's feature predicts the teacher's."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.distill.connect import FeatureShape, at_least_float32, map_shape, one_size
from kdsearch.registry import register
from kdsearch.types import Positive, PositiveInt, Searched

#: Least variance of a channel: that of the authors' code.
FLOOR = 1e-5


@register("loss", family="feature", paper="Ahn et al. (2019)")
class vid(nn.Module):
    """−log N(F_t; μ(F_s), σ²) of features with a learned μ and one learned variance a channel, as (B,).

    ½ [(F_t − μ(F_s))²/σ_c² + log σ_c²] with σ_c² = log(1 + exp α_c) + 1e-5, the constant ½ log 2π left out:
    it may be negative. For given errors it is least, ½ (1 + log e²), where σ_c² is their mean square e²; its
    bound is ½ log 1e-5. μ is a stack of 1x1 convolutions with ReLUs between them. The maps meet at the
    smaller resolution, by averaging. The paper *sums* over the elements of a feature, the authors' code
    takes the *mean*, which published tables rest on. Both are here.

    Args:
        depth: Convolutions of μ.
        variance: σ² at the start.
        reduction: `mean` over the elements of a feature, or the paper's `sum`.
    """

    def __init__(
        self,
        student_shape: FeatureShape,
        teacher_shape: FeatureShape,
        *,
        depth: Annotated[PositiveInt, Searched(1, 3)] = 3,
        variance: Annotated[Positive, Searched(0.1, 10, log=True)] = 5.0,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        inputs, outputs = map_shape(student_shape)[0], map_shape(teacher_shape)[0]
        layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 1, bias=False)]
        for _ in range(depth - 1):
            layers += [nn.ReLU(), nn.Conv2d(outputs, outputs, 1, bias=False)]
        self.mean = nn.Sequential(*layers)
        inverse_softplus = variance + math.log(-math.expm1(-variance))
        self.alpha = nn.Parameter(torch.full((outputs, 1, 1), inverse_softplus))
        self.reduction = reduction

    def forward(self, student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
        student, teacher = one_size(student_feature, teacher_feature)
        variance = F.softplus(self.alpha) + FLOOR
        squares = (at_least_float32(teacher) - at_least_float32(self.mean(student))).square()
        values = ((squares / variance + variance.log()) / 2).flatten(1)
        return values.mean(1) if self.reduction == "mean" else values.sum(1)
