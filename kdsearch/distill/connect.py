"""Connecting features of different shapes: maps (B, C, H, W), token sequences (B, N, D), vectors (B, D)."""

from __future__ import annotations

from math import isqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.errors import InputError

#: The shape of a feature of one image: (C, H, W) for a map, (N, D) for tokens, (D,) for a vector.
FeatureShape = tuple[int, ...]


def map_shape(shape: FeatureShape) -> tuple[int, int, int]:
    """(C, H, W) of `as_map` of a feature of this shape. Raises InputError for any other kind of shape."""
    match shape:
        case (width,):
            return width, 1, 1
        case (tokens, width):
            side = _side(tokens) or 1
            return width, side, side
        case (channels, height, width):
            return channels, height, width
    raise InputError(f"a layer of shape {shape} can't be matched: expected (C, H, W), (N, D) or (D,)")


def as_map(feature: Tensor) -> Tensor:
    """A feature as a map (B, C, H, W).

    A vector is a map of one position. Tokens are laid out as a square where their number is one, or is one
    more: then the first is a class token, and is left out. Any other number of tokens is averaged.
    """
    if feature.dim() == 2:
        return feature[:, :, None, None]
    if feature.dim() == 3:
        side = _side(feature.shape[1])
        if side is None:
            return feature.mean(1)[:, :, None, None]
        return feature[:, -side * side :].mT.reshape(len(feature), -1, side, side)
    return feature


def as_vector(feature: Tensor) -> Tensor:
    """A feature as a vector (B, C): the mean over the positions of `as_map`."""
    return as_map(feature).mean((2, 3))


def resized(feature: Tensor, size: tuple[int, int]) -> Tensor:
    """A map at another resolution: averaged where that is the smaller, interpolated bilinearly otherwise."""
    height, width = feature.shape[2:]
    if (height, width) == size:
        return feature
    if size[0] <= height and size[1] <= width:
        return F.adaptive_avg_pool2d(feature, size)
    return F.interpolate(feature, size, mode="bilinear")


def one_size(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Two features as maps of one resolution, the smaller of theirs, on each axis."""
    student, teacher = as_map(student), as_map(teacher)
    size = min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3])
    return resized(student, size), resized(teacher, size)


def require_positions(loss: str, *features: Tensor) -> None:
    """Raise InputError when a feature has one position only, and so no pattern that a loss could compare."""
    for feature in features:
        if as_map(feature).shape[2:].numel() == 1:
            raise InputError(
                f"{loss} compares what happens where: it needs maps, or tokens in a square, of more than one "
                f"position, and this layer gives {tuple(feature.shape[1:])} an image"
            )


def at_least_float32(values: Tensor) -> Tensor:
    """Half precision raised to float32, which sums and powers need; any other as it is."""
    # Asked first: on the smallest student the question alone is a share of the step.
    if values.dtype == torch.float32:
        return values
    return values.to(torch.promote_types(values.dtype, torch.float32))


class Regressor(nn.Module):
    """Brings a student feature to the width of the teacher's, and both to one size (Romero et al., 2015).

    Args:
        student_shape: Of one image's feature.
        teacher_shape: Of one image's feature.
        kind: `conv1x1` and `conv3x3` regress at each position; `linear` on the means over all positions.
            A vector on either side leaves only that one.
        resolution: `smaller` averages the larger map; `teacher` brings the student's to the teacher's.
    """

    def __init__(
        self,
        student_shape: FeatureShape,
        teacher_shape: FeatureShape,
        *,
        kind: Literal["conv1x1", "conv3x3", "linear"] = "conv1x1",
        resolution: Literal["smaller", "teacher"] = "smaller",
    ) -> None:
        super().__init__()
        student_width, *student_size = map_shape(student_shape)
        teacher_width, *teacher_size = map_shape(teacher_shape)
        height, width = teacher_size
        if resolution == "smaller":
            height, width = map(min, student_size, teacher_size)
        if kind == "linear" or student_size == [1, 1]:
            height, width = 1, 1
        self.size = height, width
        kernel = 3 if kind == "conv3x3" and self.size != (1, 1) else 1
        self.project = nn.Conv2d(student_width, teacher_width, kernel, padding=kernel // 2)

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """The regressed student feature and the teacher feature, as maps (B, C, h, w) of one shape."""
        return self.project(resized(as_map(student), self.size)), resized(as_map(teacher), self.size)


class Embedding(nn.Module):
    """Unit vectors (B, dim): a linear map of a feature's mean over its positions (Tian et al., 2020)."""

    def __init__(self, shape: FeatureShape, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(map_shape(shape)[0], dim)

    def forward(self, feature: Tensor) -> Tensor:
        return F.normalize(at_least_float32(self.project(as_vector(feature))))


class SafeBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by its running statistics where a channel has a single value in the batch."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


def _side(tokens: int) -> int | None:
    """The side of the square that tokens fill, a class token aside; None when they fill none."""
    side = isqrt(tokens)
    return side if side * side in (tokens, tokens - 1) else None
