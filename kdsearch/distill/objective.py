"""The student with the losses it is trained on, as one module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from kdsearch.data import Batch
from kdsearch.distill.layers import Taps
from kdsearch.distill.teachers import Shown
from kdsearch.registry import find
from kdsearch.spec import Loss


@dataclass(frozen=True)
class Term:
    """One loss at work: what it is called with, and on which pair of layers."""

    label: str
    weight: float
    call: Callable[..., Tensor]
    needs: tuple[str, ...]
    teacher: str = ""
    student_layer: str = ""
    teacher_layer: str = ""


class Objective(nn.Module):
    """A student and the weighted sum of its losses.

    Being one module, the student and the losses' own parameters share the optimiser, DDP and checkpoints.
    """

    def __init__(
        self,
        student: nn.Module,
        losses: Mapping[str, Loss],
        student_shapes: Mapping[str, tuple[int, ...]],
        teacher_shapes: Mapping[str, Mapping[str, tuple[int, ...]]],
    ) -> None:
        """
        Args:
            student: Maps images (B, C, H, W) to logits (B, classes).
            losses: By label, their layers given as paths.
            student_shapes: The shape of each layer's feature, by path, where hints need it.
            teacher_shapes: The same for each teacher.
        """
        super().__init__()
        self.student = student
        self.modules_of_losses = nn.ModuleList()
        self.terms: list[Term] = []
        self.labels = list(losses)
        for label, loss in losses.items():
            part = find("loss", loss.part)
            make, match = part.load(), loss.layers
            for student_layer, teacher_layer in match.pairs if match else [("", "")]:
                shapes = {}
                if match:
                    shapes["student_shape"] = student_shapes[str(student_layer)]
                    shapes["teacher_shape"] = teacher_shapes[match.teacher][str(teacher_layer)]
                call = self._instance(make, loss.options, shapes)
                teacher = match.teacher if match else ""
                layers = str(student_layer), str(teacher_layer)
                self.terms.append(Term(label, float(loss.weight), call, part.needs, teacher, *layers))
        self.taps = Taps(student, [term.student_layer for term in self.terms if term.student_layer])

    def _instance(
        self, make: Any, options: Mapping[str, Any], shapes: Mapping[str, Any]
    ) -> Callable[..., Tensor]:
        if not isinstance(make, type):
            return partial(make, **options)
        module = make(**shapes, **options)
        self.modules_of_losses.append(module)
        return module  # type: ignore[no-any-return]

    def forward(self, batch: Batch, shown: Shown) -> tuple[Tensor, Tensor]:
        """The objective (), and each loss, unweighted and detached, (len(labels),) in the order of `labels`."""
        logits = self.student(batch.images)
        features = self.taps.take()
        given: dict[str, Tensor] = {
            "student_logits": logits,
            "labels": batch.labels,
            "images": batch.images,
            "indices": batch.indices,
        }
        values = {label: logits.new_zeros(()) for label in self.labels}
        total = logits.new_zeros(())
        for term in self.terms:
            value = _evaluate(term, given, features, shown)
            total = total + term.weight * value
            values[term.label] = values[term.label] + value.detach()
        return total, torch.stack(list(values.values()))

    def close(self) -> None:
        """Remove the hooks from the student."""
        self.taps.close()


def _evaluate(
    term: Term, given: Mapping[str, Tensor], features: Mapping[str, Tensor], shown: Shown
) -> Tensor:
    arguments = {need: given[need] for need in term.needs if need in given}
    if term.student_layer:
        arguments["student_feature"] = features[term.student_layer]
        arguments["teacher_feature"] = shown.features[term.teacher, term.teacher_layer]
    if "teacher_logits" not in term.needs or shown.logits is None or shown.weights is None:
        return term.call(**arguments).mean()
    return sum_over_teachers(term.call, arguments, shown.logits, shown.weights)


def sum_over_teachers(
    call: Callable[..., Tensor], arguments: Mapping[str, Tensor], logits: Tensor, weights: Tensor
) -> Tensor:
    """Σ_k mean over the batch of w_k(x) · loss_k, for logits (K, B, C) and weights (K, B) or (K, 1)."""
    parts = [
        (weight * call(**arguments, teacher_logits=teacher)).mean()
        for weight, teacher in zip(weights, logits, strict=True)
    ]
    return torch.stack(parts).sum()
