"""Hints: the student's features regress on the teacher's."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.distill.connect import FeatureShape, Regressor, as_vector, at_least_float32, map_shape
from kdsearch.registry import register
from kdsearch.types import PositiveInt, Searched


@register("loss", family="feature", paper="Romero et al. (2015); Hu et al. (2018) for the gate")
class hint(nn.Module):
    """Squared distance between a teacher feature and a learned regression r on a student feature, as (B,).

    mean over c and positions of w_c · (r(F_s)_c − F_t,c)², zero where the regression is exact. The paper's
    stage of pure hints minimises half the *sum* of squares; the implementations behind most published
    tables take the *mean* over the elements of a feature, so that a weight does not depend on the size of
    the layer. Both are here.

    w = 1, or a squeeze-and-excite gate w(F_t) (B, C) that chooses the channels to imitate. Being trained on
    the very loss that it weighs, a plain sigmoid gate minimises it by switching every channel off; this one
    is divided by its mean over the channels, so it can prefer channels but not leave the task.

    Args:
        regressor: Convolutions regress at each position, `linear` on the means over all positions.
        resolution: `smaller` averages the larger map; `teacher` brings the student's to the teacher's.
        attention: `se` weighs the channels by a gate on the teacher's feature.
        squeeze: How many channels share one hidden unit of the gate, which has eight units at the least.
        reduction: `mean` over the elements of a feature, or the paper's `sum`, halved.
    """

    def __init__(
        self,
        student_shape: FeatureShape,
        teacher_shape: FeatureShape,
        *,
        regressor: Literal["conv1x1", "conv3x3", "linear"] = "conv1x1",
        resolution: Literal["smaller", "teacher"] = "smaller",
        attention: Literal["none", "se"] = "none",
        squeeze: Annotated[PositiveInt, Searched(4, 16, log=True)] = 8,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        self.regressor = Regressor(student_shape, teacher_shape, kind=regressor, resolution=resolution)
        self.gate = _Gate(map_shape(teacher_shape)[0], squeeze) if attention == "se" else None
        self.reduction = reduction

    def forward(self, student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
        student, teacher = self.regressor(student_feature, teacher_feature)
        squares = F.mse_loss(at_least_float32(student), at_least_float32(teacher), reduction="none").flatten(
            2
        )
        if self.gate is not None:
            squares = squares * self.gate(teacher_feature)[:, :, None]
        return squares.mean((1, 2)) if self.reduction == "mean" else squares.sum((1, 2)) / 2


class _Gate(nn.Module):
    """Weights (B, C) of a feature's channels, σ(g_c) / mean σ(g), by a squeeze-and-excite network g."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        hidden = max(channels // squeeze, 8)
        self.layers = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, feature: Tensor) -> Tensor:
        gate = at_least_float32(self.layers(as_vector(feature)))
        # The softmax of the logarithm is the quotient, and stays exact when every gate is nearly shut.
        return gate.shape[1] * F.logsigmoid(gate).softmax(1)
