"""Semantic calibration: each student layer learns from all teacher layers, and which from is learned too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.distill.connect import (
    FeatureShape,
    SafeBatchNorm,
    as_map,
    at_least_float32,
    map_shape,
    one_size,
)
from kdsearch.registry import register
from kdsearch.types import PositiveInt, Searched


@register("loss", family="feature", paper="Chen et al. (2021)", matching="learned")
class semckd(nn.Module):
    """Σ_l Σ_k α_lk · MSE(P_lk(F_s^l), F_t^k) over all student layers l and teacher layers k, as (B,).

    α_l· = softmax over k of q_l·k_k, for each image. Queries and keys are unit vectors, MLPs of the image's
    row of the similarity matrix F Fᵀ (B, B) of the flattened features of a batch. P_lk is a bottleneck of
    1x1, 3x3 and 1x1 convolutions to the teacher's channels; maps meet at the smaller resolution, by
    averaging; MSE is the mean over the elements of a feature. Zero where every projection is exact.

    The MLPs of the paper take rows as long as its batch. Here rows are cut, or filled with zeros, to
    `references`, so that any batch will do. The paper sums over student layers, the authors' code, behind
    its tables with a weight of 400, takes their mean.

    Args:
        references: Length of the rows: how many images of the batch each is compared with.
        layers: `sum` over student layers, as the paper, or `mean`, as its code.
    """

    def __init__(
        self,
        student_shapes: Sequence[FeatureShape],
        teacher_shapes: Sequence[FeatureShape],
        *,
        references: Annotated[PositiveInt, Searched(32, 256, log=True)] = 64,
        layers: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__()
        students, teachers = (
            [map_shape(s)[0] for s in student_shapes],
            [map_shape(t)[0] for t in teacher_shapes],
        )
        self.queries = nn.ModuleList(_embedding(references) for _ in students)
        self.keys = nn.ModuleList(_embedding(references) for _ in teachers)
        self.projections = nn.ModuleList(
            nn.ModuleList(_projection(student, teacher) for teacher in teachers) for student in students
        )
        self.references, self.layers = references, layers

    def forward(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        weights, distances = self.weights(student_features, teacher_features), []
        for student_feature, projections in zip(student_features, self.projections, strict=True):
            for teacher_feature, project in zip(teacher_features, projections, strict=True):  # type: ignore[call-overload]
                student, teacher = one_size(student_feature, teacher_feature)
                distances.append(
                    (at_least_float32(project(student)) - at_least_float32(teacher))
                    .square()
                    .flatten(1)
                    .mean(1)
                )
        each = (weights * torch.stack(distances, 1).view_as(weights)).sum(2)
        return each.sum(1) if self.layers == "sum" else each.mean(1)

    def weights(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        """α (B, student layers, teacher layers), each row of which adds up to one."""
        queries = self._embed(self.queries, student_features)
        keys = self._embed(self.keys, teacher_features)
        return at_least_float32(queries @ keys.mT).softmax(2)

    def _embed(self, networks: nn.ModuleList, features: Sequence[Tensor]) -> Tensor:
        """A unit vector for each image and layer, (B, layers, references / 4)."""
        vectors = []
        for network, feature in zip(networks, features, strict=True):
            flat = as_map(feature).flatten(1)
            rows = at_least_float32(flat @ flat[: self.references].mT)
            vectors.append(
                F.normalize(at_least_float32(network(F.pad(rows, (0, self.references - rows.shape[1])))))
            )
        return torch.stack(vectors, 1)


def _embedding(references: int) -> nn.Sequential:
    dim = max(references // 4, 1)
    return nn.Sequential(nn.Linear(references, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))


def _projection(student: int, teacher: int) -> nn.Sequential:
    middle = 2 * teacher
    return nn.Sequential(
        nn.Conv2d(student, middle, 1, bias=False),
        SafeBatchNorm(middle),
        nn.ReLU(),
        nn.Conv2d(middle, middle, 3, padding=1, bias=False),
        SafeBatchNorm(middle),
        nn.ReLU(),
        nn.Conv2d(middle, teacher, 1, bias=False),
    )
