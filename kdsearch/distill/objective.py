"""The student with the losses it is trained on, as one module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.data import Batch, to_device
from kdsearch.distill.connect import at_least_float32
from kdsearch.distill.ensembles.dropout import drop, staying
from kdsearch.distill.layers import Taps
from kdsearch.distill.outputs import TeacherOutputs, image_gradient
from kdsearch.distill.specialists import among_competent
from kdsearch.distill.terms import Term
from kdsearch.registry import find
from kdsearch.spec import Ensemble, Filter


@dataclass(frozen=True)
class Target:
    """What the student is compared with in a batch.

    The `logits` (M, B, C) of the members, or of what they were merged into; the `weights` of these, (M, B) or
    (M, 1), and the `shares` of the members, (K, B) or (K, 1), both None for a teacher that is alone; and the
    gradients (M, B, C, H, W) for the images, where a loss asks for them.
    """

    logits: Tensor
    weights: Tensor | None
    shares: Tensor | None
    image_gradients: Tensor | None


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
        #: Whether the members' outputs become fewer.
        self.merges = bool(part.facts.get("merges"))
        self.strategy: Callable[..., Tensor | tuple[Tensor, Tensor]]
        if isinstance(make, type):
            supply = {"members": members, "classes": classes}
            self.strategy = part.build(supply, ensemble.options)
        else:
            self.strategy = partial(make, **ensemble.options)

    def forward(
        self,
        outputs: TeacherOutputs,
        student_logits: Tensor,
        labels: Tensor,
        members: tuple[str, ...],
        temperatures: tuple[float, ...],
        kept: Tensor | None = None,
    ) -> Target:
        """What the members teach, of which only those that are kept (K,) take part; by default all."""
        assert outputs.logits is not None
        if len(members) == 1 and outputs.competence is None:
            return Target(outputs.logits, None, None, outputs.image_gradients)
        temperature: float | Tensor = temperatures[0]
        if len(set(temperatures)) > 1:
            each = torch.tensor(temperatures, dtype=outputs.logits.dtype)[:, None, None]
            temperature = to_device(each, outputs.logits.device)
        given = {
            "logits": outputs.logits,
            "student_logits": student_logits,
            "labels": labels,
            "members": members,
            "temperature": temperature,
        }
        if self.merges:
            return self._merged(given, outputs.pull, kept)
        weights = self.strategy(**{need: given[need] for need in self.needs})
        assert isinstance(weights, Tensor)
        if kept is not None:
            weights = drop(weights, kept)
        if outputs.competence is not None:
            weights = among_competent(weights, outputs.competence[:, labels])
        return Target(outputs.logits, weights, weights, outputs.image_gradients)

    def _merged(
        self, given: dict[str, Any], pull: Callable[[Tensor], Tensor] | None, kept: Tensor | None
    ) -> Target:
        """What the members that are kept are merged into."""
        count = len(given["members"])
        stay = [index for index in range(count) if kept is None or kept[index]]
        shares = torch.tensor([(index in stay) / len(stay) for index in range(count)])[:, None]
        every: Tensor = given["logits"].detach().requires_grad_(pull is not None)
        if len(stay) < count:
            temperature = given["temperature"]
            given = {**given, "members": tuple(given["members"][index] for index in stay)}
            if isinstance(temperature, Tensor):
                given["temperature"] = torch.stack([temperature[index] for index in stay])
        # Not by an index, which would make the CPU wait for a GPU.
        given = {**given, "logits": torch.stack([every[index] for index in stay])}
        logits, weights = self.strategy(**{need: given[need] for need in self.needs})
        gradients = None
        if pull is not None:
            costs = [F.cross_entropy(z, given["labels"], reduction="sum") for z in logits]
            each = [torch.autograd.grad(cost, every, retain_graph=True)[0] for cost in costs]
            gradients = torch.stack([pull(gradient) for gradient in each])
        return Target(logits, weights, to_device(shares, every.device), gradients)


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
        #: Whether a loss looks at the gradient of the student for the images.
        self.takes_gradients = any("student_image_gradient" in term.needs for term in self.terms)
        self._response = next((term for term in self.terms if "temperature" in term.varying), None)
        #: Runs the student in its place, once it is compiled.
        self.run_student: Callable[[Tensor], Tensor] | None = None
        self.advance(0.0)

    def advance(self, progress: float) -> bool:
        """Set how much of the training is done. Returns whether any loss that acts now needs a teacher.

        Losses with parameters act from start to end, so that each batch gives them a gradient.
        """
        self.progress = progress
        weights = [(term, term.weight_at(progress)) for term in self.terms]
        self.acting = [(term, w) for term, w in weights if w or term.learns]
        return any(term.taught for term, _ in self.acting)

    def leaves_some_out(self) -> bool:
        """Whether some batch may give some parameter no gradient: of the student or of the ensemble."""
        steady = [term for term in self.terms if term.acts_throughout]
        whole = all(term.of_student_logits for term in self.terms)
        whole = whole or any(term.of_student_logits for term in steady)
        if not any(parameter.requires_grad for parameter in self.combine.parameters()):
            return not whole
        # One teacher alone needs no weight, and nor does a batch of which no image passes a filter.
        asked = any(term.of_members and term.only == Filter() for term in steady)
        return not (whole and asked and len(self.members) > 1)

    def forward(self, batch: Batch, outputs: TeacherOutputs) -> tuple[Tensor, Tensor]:
        """The objective (), and, detached, the objective and each loss, unweighted, (1 + losses,)."""
        images = batch.images.requires_grad_() if self.takes_gradients else batch.images
        # Soft targets of a high temperature differ by less than half precision can tell.
        logits = at_least_float32((self.run_student or self.student)(images))
        features = self.taps.take()
        given: dict[str, Any] = {
            "student_logits": logits,
            "labels": batch.labels,
            "images": images,
            "indices": batch.indices,
            "progress": self.progress,
        }
        if self.takes_gradients:
            given["student_image_gradient"] = image_gradient(logits, batch.labels, images, create_graph=True)

        target = self._targets(batch, outputs, logits.detach())

        values: dict[str, Tensor] = {}
        weighted: list[Tensor] = []
        for term, weight in self.acting:
            arguments = {need: given[need] for need in term.needs if need in given}
            if term.student_layers:
                arguments |= _layers(term, features, outputs)
            value = self._value(term, arguments, outputs, target, batch)
            weighted.append(value if weight == 1 else weight * value)
            values[term.label] = values[term.label] + value if term.label in values else value
        total = _sum(weighted) if weighted else logits.sum() * 0
        with torch.no_grad():
            idle = [label for label in self.labels if label not in values]
            values |= dict.fromkeys(idle, torch.zeros_like(total)) if idle else {}
            return total, torch.stack([total, *(values[label] for label in self.labels)])

    def _targets(
        self, batch: Batch, outputs: TeacherOutputs, logits: Tensor
    ) -> Callable[[tuple[float, ...]], Target]:
        """The target by the members' temperatures, made when it is asked for; all are of one draw."""
        combine, count = self.combine, len(self.members)
        made: dict[tuple[float, ...], Target] = {}
        kept: Tensor | None = None

        def target(temperatures: tuple[float, ...]) -> Target:
            nonlocal kept
            if "temperature" not in combine.needs:
                temperatures = (1.0,) * count
            if not made and combine.dropout and self.training and count > 1:
                kept = staying(count, combine.dropout)
            if temperatures not in made:
                made[temperatures] = combine(outputs, logits, batch.labels, self.members, temperatures, kept)
            return made[temperatures]

        return target

    def _value(
        self,
        term: Term,
        arguments: dict[str, Any],
        outputs: TeacherOutputs,
        target: Callable[[tuple[float, ...]], Target],
        batch: Batch,
    ) -> Tensor:
        """The loss of a term, its teachers weighted as the ensemble says, mean over the batch."""
        if term.of_members:
            given = target(self._temperatures(term))
            alone = len(given.logits) == 1 < len(self.members)
            options = [term.options_at(self.progress, name) for name in self.members]
            options = [_mean(options)] if alone else options
            return over_members(term, arguments, options, given, batch.labels)
        arguments |= term.options_at(self.progress)
        value = term.call(**arguments)
        if batch.mixed is not None and term.of_labels:
            others = arguments | {"labels": batch.mixed.labels}
            value = batch.mixed.weighed(value, term.call(**others))
        if term.teacher not in self.members or len(self.members) == 1:
            return value.mean()
        shares = target(self._temperatures(self._response)).shares
        assert shares is not None
        return weighed(value, shares[self.members.index(term.teacher)])

    def _temperatures(self, term: Term | None) -> tuple[float, ...]:
        """Each member's temperature, from this loss; 1 if it has none."""
        if term is None or "temperature" not in term.varying:
            return (1.0,) * len(self.members)
        return tuple(term.options_at(self.progress, name)["temperature"] for name in self.members)

    def close(self) -> None:
        """Remove the hooks from the student."""
        self.taps.close()


def _layers(term: Term, features: Mapping[str, Tensor], outputs: TeacherOutputs) -> dict[str, Any]:
    student = [features[path] for path in term.student_layers]
    teacher = [outputs.features[place] for place in term.teacher_layers]
    given = {
        "student_feature": student[0],
        "teacher_feature": teacher[0],
        "student_features": student,
        "teacher_features": teacher,
    }
    return {need: given[need] for need in term.needs if need in given}


def over_members(
    term: Term,
    arguments: Mapping[str, Any],
    options: list[dict[str, Any]],
    target: Target,
    labels: Tensor,
) -> Tensor:
    """Σ_k mean over the batch of w_k(x) · loss_k(x), on the images that the filter of the term lets pass."""
    parts = []
    for index, logits in enumerate(target.logits):
        weight = None if target.weights is None else target.weights[index]
        theirs = {"teacher_logits": logits} if "teacher_logits" in term.needs else {}
        if target.image_gradients is not None and "teacher_image_gradient" in term.needs:
            theirs["teacher_image_gradient"] = target.image_gradients[index]
        passed = passing(term.only, logits, labels)
        if passed is not None and term.part.facts.get("relates_images"):
            parts.append(_on_rows(term, {**arguments, **theirs}, options[index], weight, passed))
            continue
        value = term.call(**arguments, **theirs, **options[index])
        parts.append(weighed(value if passed is None else value * passed, weight))
    return _sum(parts)


def passing(only: Filter, logits: Tensor, labels: Tensor) -> Tensor | None:
    """Whether each image passes a filter (B,), by a teacher's logits (B, C); None where all do."""
    if not (only.correct or only.confidence):
        return None
    confidence, predicted = logits.float().softmax(1).max(1)
    right = predicted == labels if only.correct else torch.ones_like(labels, dtype=torch.bool)
    passed: Tensor = (confidence >= only.confidence) & right
    return passed


def _on_rows(
    term: Term,
    arguments: Mapping[str, Any],
    options: Mapping[str, Any],
    weight: Tensor | None,
    passed: Tensor,
) -> Tensor:
    """A loss that relates the images of a batch, on those that pass; still a mean over all of them.

    It has to know how many these are, for which the CPU waits for a GPU: masked, such a loss would see pairs
    with images that did not pass.
    """
    rows = {
        key: value[passed] if isinstance(value, Tensor) and len(value) == len(passed) else value
        for key, value in arguments.items()
    }
    if not bool(passed.any()):
        nothing: Tensor = arguments["student_logits"].sum() * 0
        return nothing
    value = term.call(**rows, **options)
    weight = weight[passed] if weight is not None and len(weight) > 1 else weight
    return weighed(value, weight) * passed.float().mean()


def weighed(value: Tensor, weight: Tensor | None) -> Tensor:
    """The mean over the batch of a loss (B,) or () times a teacher's weight (B,) or (1,), or 1 for None."""
    if weight is None:
        return value.mean()
    return weight[0] * value.mean() if len(weight) == 1 else (weight * value).mean()


def _mean(options: list[dict[str, Any]]) -> dict[str, Any]:
    """Options for a target that was merged from all teachers: the mean of theirs."""
    return {name: sum(option[name] for option in options) / len(options) for name in options[0]}


def _sum(tensors: list[Tensor]) -> Tensor:
    return reduce(torch.add, tensors)
