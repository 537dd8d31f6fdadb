"""Which of two images is nearer to a third, as the teachers vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register
from kdsearch.types import NonNegative, Searched


@register("loss", family="relation", paper="You, Xu, Xu & Tao (2017)", matching="members")
def relative_dissimilarity(
    student_feature: Tensor,
    teacher_features: Sequence[Tensor],
    *,
    margin: Annotated[NonNegative, Searched(0.01, 1, log=True)] = 0.1,
    triplets: Literal["all", "hardest"] = "all",
) -> Tensor:
    """max(0, margin + d_ij − d_ik) over the triplets in which i is nearer to j than to k, as (B,) over i.

    Which is nearer is voted on: each of K teachers, given by one feature each, of any shape, casts a vote by
    its own Euclidean distances, and the majority has it; a triplet with a tie is left out. d is the student's
    Euclidean distance over the mean of all its distances between different images, so that a margin means
    the same for every layer and is not met by mere scale. The loss of an image is the mean over its triplets,
    or that of the one that is hardest for the student. Zero where all voted orders are kept by the margin,
    and for fewer than three images. Memory is of order B³.

    The vote and the hinge are the paper's, which has no public code; the scale of d is ours.

    Args:
        margin: By how much of a mean distance the nearer image is to be nearer.
        triplets: Of each image, `all` or only the `hardest`.
    """
    distances = _distances(student_feature)
    images = len(distances)
    mean = distances.sum() / max(images * (images - 1), 1)
    distances = distances / mean.clamp_min(1e-12)
    violations = (margin + distances[:, :, None] - distances[:, None]).clamp_min(0)
    voted = nearer(teacher_features)
    if triplets == "hardest":
        return violations.masked_fill(~voted, 0).amax((1, 2))
    return (violations * voted).sum((1, 2)) / voted.sum((1, 2)).clamp_min(1)


@torch.no_grad()
def nearer(features: Sequence[Tensor]) -> Tensor:
    """Whether most of the K features (B, …) have the image i nearer to j than to k, as (i, j, k)."""
    ballots = torch.zeros((), dtype=torch.int8, device=features[0].device)
    for feature in features:
        distances = _distances(feature)
        ballots = ballots + (distances[:, None] - distances[:, :, None]).sign().to(torch.int8)
    itself = torch.eye(len(features[0]), dtype=torch.bool, device=ballots.device)
    return (ballots > 0) & ~itself[:, :, None]


def _distances(feature: Tensor) -> Tensor:
    """Euclidean distances (B, B); matrix products would lose the least of them, and so their order."""
    rows = at_least_float32(feature.flatten(1))
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
