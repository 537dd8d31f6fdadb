"""Contrastive representation distillation, with its memory bank."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from kdsearch.distill.connect import Embedding, FeatureShape, at_least_float32
from kdsearch.registry import register
from kdsearch.types import Fraction, Positive, PositiveInt, Searched


@register("loss", family="feature", paper="Tian, Krishnan & Isola (2020)")
class crd(nn.Module):
    """Noise-contrastive estimation of whether two embeddings belong to one image, both ways, as (B,).

    For an anchor a_i, its positive b_i and N negatives b_j of other images, drawn uniformly from M:
    −log h(a_i·b_i) − Σ_j log(1 − h(a_i·b_j)), h(x) = e^{x/τ}/Z / (e^{x/τ}/Z + N/M), once with student
    anchors and once with teacher anchors. Negatives come from a memory bank of every image's embeddings,
    m ← normalised (momentum · m + (1 − momentum) · embedding). Above zero; no minimum in closed form.

    The paper's h has Z = 1. The authors' code, behind all published tables, divides by a constant Z = M
    times the mean of e^{x/τ} in the first batch, and takes the positive from the bank too, an epoch old.
    Here one draw of negatives serves the whole batch: the same expectation for each image, with N rows of
    the bank read rather than N · B. A negative that is the image itself is left out and the sum scaled up.

    Args:
        negatives: N.
        temperature: τ.
        momentum: Of the memory bank.
        dim: Of the embeddings.
        positive: `current` embedding, as the paper has it, or the one in `memory`, as its code.
        normaliser: Z: from the `first_batch`, or `none`, which is 1.
        exclude: `image` leaves the image itself out of its negatives, `class` all of its class seen so far.
    """

    students: Tensor
    teachers: Tensor
    labels: Tensor
    log_z: Tensor

    def __init__(
        self,
        student_shape: FeatureShape,
        teacher_shape: FeatureShape,
        examples: int,
        *,
        negatives: Annotated[PositiveInt, Searched(256, 16384, log=True)] = 16384,
        temperature: Annotated[Positive, Searched(0.02, 0.3, log=True)] = 0.07,
        momentum: Fraction = 0.5,
        dim: Annotated[PositiveInt, Searched(32, 256, log=True)] = 128,
        positive: Literal["current", "memory"] = "current",
        normaliser: Literal["first_batch", "none"] = "first_batch",
        exclude: Literal["image", "class"] = "image",
    ) -> None:
        super().__init__()
        self.embed_student = Embedding(student_shape, dim)
        self.embed_teacher = Embedding(teacher_shape, dim)
        self.negatives, self.temperature, self.momentum = negatives, temperature, momentum
        self.positive, self.exclude = positive, exclude
        self.normalised = normaliser == "none"
        #: How many images of a batch each worker has, once that is known.
        self._lengths: list[int] | None = None
        self.register_buffer("students", F.normalize(torch.randn(examples, dim)))
        self.register_buffer("teachers", F.normalize(torch.randn(examples, dim)))
        self.register_buffer("labels", torch.full((examples,), -1))
        self.register_buffer("log_z", torch.full((2,), torch.inf if normaliser == "first_batch" else 0.0))

    def forward(
        self, student_feature: Tensor, teacher_feature: Tensor, labels: Tensor, indices: Tensor
    ) -> Tensor:
        student, teacher = self.embed_student(student_feature), self.embed_teacher(teacher_feature)
        drawn = self.draw(indices.device)
        others = indices[:, None] != drawn
        if self.exclude == "class":
            others = others & (labels[:, None] != self.labels[drawn])
        current = self.positive == "current"
        loss = self._contrast(
            0, student, teacher if current else self.teachers[indices], self.teachers[drawn], others
        )
        loss = loss + self._contrast(
            1, teacher, student if current else self.students[indices], self.students[drawn], others
        )
        self.normalised = True
        if self.training:
            self._remember(indices, labels, student.detach(), teacher.detach())
        return loss

    def draw(self, device: torch.device) -> Tensor:
        """The images whose embeddings are the negatives of a batch, (N,), with replacement."""
        return torch.randint(len(self.labels), (self.negatives,), device=device)

    def _contrast(
        self, way: int, anchors: Tensor, positives: Tensor, negatives: Tensor, others: Tensor
    ) -> Tensor:
        """The loss (B,) of anchors and positives (B, dim) with negatives (N, dim), where `others` (B, N)."""
        near = (anchors * positives).sum(1) / self.temperature
        far = (at_least_float32(anchors @ negatives.mT) / self.temperature).masked_fill(~others, -torch.inf)
        if not self.normalised:
            self._set_normaliser(way, torch.cat([near, far.flatten()]).detach())
        # h(x) = σ(x/τ − log Z − log N/M)
        shift = self.log_z[way] + math.log(self.negatives / len(self.labels))
        mean = F.softplus(far - shift).sum(1) / others.sum(1).clamp_min(1)
        return F.softplus(shift - near) + self.negatives * mean

    def _set_normaliser(self, way: int, scores: Tensor) -> None:
        mean = scores.logsumexp(0, keepdim=True) - scores.isfinite().sum().to(scores).log()
        means = _of_all_workers(mean, [1] * _world_size())
        known = self.log_z[way]  # finite when it came with a checkpoint
        found = means.logsumexp(0) + math.log(len(self.labels) / len(means))
        self.log_z[way] = torch.where(known.isinf(), found, known)

    @torch.no_grad()
    def _remember(self, *seen: Tensor) -> None:
        if self._lengths is None:
            # Once: all batches of a training are of one size, and so are a worker's shares of them.
            self._lengths = _lengths(seen[0])
        indices, labels, student, teacher = (_of_all_workers(rows, self._lengths) for rows in seen)
        self.labels[indices] = labels
        for bank, new in ((self.students, student), (self.teachers, teacher)):
            mixed = self.momentum * bank[indices] + (1 - self.momentum) * new
            bank[indices] = F.normalize(mixed).to(bank.dtype)


def _world_size() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def _lengths(rows: Tensor) -> list[int]:
    """How many rows each worker has."""
    own, workers = [len(rows)], _world_size()
    if workers == 1:
        return own
    lengths: list[int] = _of_all_workers(torch.tensor(own, device=rows.device), [1] * workers).tolist()
    return lengths


def _of_all_workers(rows: Tensor, lengths: list[int]) -> Tensor:
    """The rows (n, …) of all workers, one worker's after another's, where each has `lengths` of them."""
    if len(lengths) == 1:
        return rows
    padded = F.pad(rows, (0, 0) * (rows.dim() - 1) + (0, max(lengths) - len(rows))).contiguous()
    shares = [torch.empty_like(padded) for _ in lengths]
    distributed.all_gather(shares, padded)
    return torch.cat([share[:length] for share, length in zip(shares, lengths, strict=True)])
