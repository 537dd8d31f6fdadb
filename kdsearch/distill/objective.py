"""The student with the losses it is trained on, as one module."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn

from kdsearch.data import Batch
from kdsearch.distill.ensembles.dropout import drop
from kdsearch.distill.layers import Taps
from kdsearch.distill.shown import Shown, image_gradient
from kdsearch.distill.terms import Term
from kdsearch.registry import find
from kdsearch.spec import Ensemble

Target = tuple[Tensor, Tensor]


class Combination(nn.Module):
    """How the outputs of the members become targets, with teacher dropout."""

    def __init__(self, ensemble: Ensemble, members: tuple[str, ...], classes: int, dropout: float) -> None:
        """
        Args:
            ensemble: The strategy and its options.
            members: Names of the teachers.
            classes: Number of logits.
            dropout: Probability with which a teacher is left out of a batch.
        """
        super().__init__()
        part = find("ensemble", ensemble.part)
        make = part.load()
        self.needs, self.dropout = part.needs, dropout
        self.strategy: Callable[..., Tensor | Target]
        if isinstance(make, type):
            supply = {"members": members, "classes": classes}
            asked = inspect.signature(make).parameters
            self.strategy = make(**{k: v for k, v in supply.items() if k in asked}, **ensemble.options)
        else:
            self.strategy = partial(make, **ensemble.options)

    def forward(
        self,
        shown: Shown,
        student_logits: Tensor,
        labels: Tensor,
        members: tuple[str, ...],
        temperature: float,
        training: bool,
    ) -> Target:
        """Targets (M, B, C), and the weight (M, B) or (M, 1) of each."""
        assert shown.logits is not None
        given = {
            "logits": shown.logits,
            "student_logits": student_logits,
            "labels": labels,
            "members": members,
            "temperature": temperature,
        }
        made = self.strategy(**{need: given[need] for need in self.needs})
        logits, weights = (shown.logits, made) if isinstance(made, Tensor) else made
        return logits, drop(weights, self.dropout) if self.dropout and training else weights


class Objective(nn.Module):
    """A student and the weighted sum of its losses.

    Being one module, the student, the losses' own parameters and a learned ensemble share the optimiser, DDP
    and checkpoints.
    """

    def __init__(
        self, student: nn.Module, terms: Iterable[Term], members: tuple[str, ...], combine: Combination
    ) -> None:
        """
        Args:
            student: Maps images (B, C, H, W) to logits (B, classes).
            terms: The losses.
            members: The teachers whose outputs are combined.
            combine: How.
        """
        super().__init__()
        self.student = student
        self.terms = list(terms)
        self.members = members
        self.combine = combine
        self.losses = nn.ModuleList(term.call for term in self.terms if isinstance(term.call, nn.Module))
        self.labels = list(dict.fromkeys(term.label for term in self.terms))
        self.taps = Taps(student, [path for term in self.terms for path in term.student_layers])
        self._gradients = any("student_image_gradient" in term.needs for term in self.terms)

    def forward(self, batch: Batch, shown: Shown) -> tuple[Tensor, Tensor]:
        """The objective (), and each loss, unweighted and detached, (len(labels),) as in `labels`."""
        images = batch.images.requires_grad_() if self._gradients else batch.images
        logits = self.student(images)
        features = self.taps.take()
        given: dict[str, Any] = {
            "student_logits": logits,
            "labels": batch.labels,
            "images": images,
            "indices": batch.indices,
        }
        if self._gradients:
            given["student_image_gradient"] = image_gradient(logits, batch.labels, images, create_graph=True)
        targets: dict[float, Target] = {}
        values: dict[str, Tensor] = {}
        weighted: list[Tensor] = []
        for term in self.terms:
            arguments = {need: given[need] for need in term.needs if need in given} | _layers(
                term, features, shown
            )
            if term.of_members:
                if term.temperature not in targets:
                    targets[term.temperature] = self.combine(
                        shown, logits.detach(), batch.labels, self.members, term.temperature, self.training
                    )
                value = _over_members(term, arguments, shown, targets[term.temperature])
            else:
                value = term.call(**arguments).mean()
            weighted.append(value if term.weight == 1 else term.weight * value)
            before = values.get(term.label)
            values[term.label] = value.detach() if before is None else before + value.detach()
        return _sum(weighted), torch.stack([values[label] for label in self.labels])

    def close(self) -> None:
        """Remove the hooks from the student."""
        self.taps.close()


def _layers(term: Term, features: Mapping[str, Tensor], shown: Shown) -> dict[str, Any]:
    if not term.student_layers:
        return {}
    student = [features[path] for path in term.student_layers]
    teacher = [shown.features[place] for place in term.teacher_layers]
    given = {
        "student_feature": student[0],
        "teacher_feature": teacher[0],
        "student_features": student,
        "teacher_features": teacher,
    }
    return {need: given[need] for need in term.needs if need in given}


def _over_members(term: Term, arguments: Mapping[str, Any], shown: Shown, target: Target) -> Tensor:
    """Σ_k mean over the batch of w_k(x) · loss_k."""
    parts = []
    for index, (logits, weight) in enumerate(zip(*target, strict=True)):
        theirs = {"teacher_logits": logits} if "teacher_logits" in term.needs else {}
        if shown.image_gradients is not None and "teacher_image_gradient" in term.needs:
            theirs["teacher_image_gradient"] = shown.image_gradients[index]
        value = term.call(**arguments, **theirs)
        parts.append(weight[0] * value.mean() if len(weight) == 1 else (weight * value).mean())
    return _sum(parts)


def _sum(tensors: list[Tensor]) -> Tensor:
    return reduce(torch.add, tensors)
