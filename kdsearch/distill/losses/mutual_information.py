"""Mutual information of features, bounded from below by telling the images of a batch apart."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.distill.connect import Embedding, FeatureShape
from kdsearch.registry import register
from kdsearch.types import Positive, PositiveInt, Searched


@register("loss", family="feature", paper="van den Oord, Li & Vinyals (2018)")
class mutual_information(nn.Module):
    """InfoNCE between learned unit embeddings s = g(F_s) and t = h(F_t), as (B,).

    −log [exp(s_i·t_i/τ) / Σ_j exp(s_i·t_j/τ)] over the batch, j = i among them: which teacher embedding
    belongs to this image? I(F_s; F_t) ≥ log B − loss. Above zero, which it nears where every s_i·t_i exceeds
    the others by far more than τ; zero, without a gradient, for a batch of one. Features are averaged over
    their positions. Under DDP a worker contrasts the images of its own share of the batch.

    Args:
        temperature: τ. Lower looks only at the most similar negatives.
        dim: Of the embeddings.
        drop_same_class: Leave out j ≠ i of the same class: telling those apart is no aim of a classifier.
    """

    def __init__(
        self,
        student_shape: FeatureShape,
        teacher_shape: FeatureShape,
        *,
        temperature: Annotated[Positive, Searched(0.03, 0.5, log=True)] = 0.07,
        dim: Annotated[PositiveInt, Searched(32, 256, log=True)] = 128,
        drop_same_class: bool = False,
    ) -> None:
        super().__init__()
        self.embed_student = Embedding(student_shape, dim)
        self.embed_teacher = Embedding(teacher_shape, dim)
        self.temperature = temperature
        self.drop_same_class = drop_same_class

    def forward(self, student_feature: Tensor, teacher_feature: Tensor, labels: Tensor) -> Tensor:
        student, teacher = self.embed_student(student_feature), self.embed_teacher(teacher_feature)
        scores = student @ teacher.mT / self.temperature
        own = torch.arange(len(labels), device=labels.device)
        if self.drop_same_class:
            others = own[:, None] != own
            scores = scores.masked_fill(others & (labels[:, None] == labels), -torch.inf)
        return F.cross_entropy(scores, own, reduction="none")
