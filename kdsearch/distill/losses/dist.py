"""Correlation with a stronger teacher, between classes and within each class."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register
from kdsearch.types import NonNegative, Searched, Temperature


@register("loss", family="response", paper="Huang, You, Wang, Qian & Xu (2022)", relates_images=True)
def dist(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    beta: Annotated[NonNegative, Searched(0.5, 4, log=True)] = 2.0,
    gamma: Annotated[NonNegative, Searched(0.5, 4, log=True)] = 2.0,
    temperature: Annotated[Temperature, Searched(1, 8, log=True)] = 4.0,
) -> Tensor:
    """T² · (beta · inter + gamma · intra) of logits (B, C), as (B,).

    With p = softmax(logits / T) and d = 1 − Pearson correlation: inter is d of the image's row of p, intra
    the mean over the C classes of d of the class's column of p, one value for the batch. Zero when the two
    have the same probabilities up to a scale and shift of each row and each column. A column without spread,
    as in a batch of one image, correlates with nothing: its d is 1 and has no gradient.

    The factor T² is the authors' code's, on which their tables rest; the paper's equations have none.

    Args:
        beta: Weight of the relations between the classes of an image.
        gamma: Weight of the relations between the images of a class.
        temperature: T. The paper takes 4 on CIFAR-100 and 1 on ImageNet.
    """
    student = (at_least_float32(student_logits) / temperature).softmax(1)
    teacher = (at_least_float32(teacher_logits) / temperature).softmax(1)
    inter, intra = _distance(student, teacher, 1), _distance(student, teacher, 0).mean()
    return temperature**2 * (beta * inter + gamma * intra)


def _distance(a: Tensor, b: Tensor, dim: int) -> Tensor:
    return 1 - F.cosine_similarity(a - a.mean(dim, keepdim=True), b - b.mean(dim, keepdim=True), dim)
