"""From the losses of a spec to terms: what each is called with, and on which layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from kdsearch.distill.layers import Layer, Layers
from kdsearch.distill.varying import value_at, weight_at
from kdsearch.registry import Part, find
from kdsearch.spec import Filter, Loss, Match


@dataclass(frozen=True)
class Sides:
    """What is known of the student and its teachers when losses are made.

    `student` and `teachers` hold the layers of each, and may be empty where no loss asks for features.
    """

    student: Layers
    teachers: Mapping[str, Layers]
    members: tuple[str, ...]
    examples: int
    classes: int


@dataclass(frozen=True)
class Term:
    """One loss between certain layers. These are paths: the student's, and teachers' as (teacher, path).

    `weight` and the options in `varying` may be schedules. `teacher` is the one whose layers it compares,
    if there is one.
    """

    label: str
    part: Part
    call: Callable[..., Tensor]
    weight: Any
    varying: Mapping[str, Any]
    only: Filter
    teacher: str | None
    student_layers: tuple[str, ...]
    teacher_layers: tuple[tuple[str, str], ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """What it is called with."""
        return self.part.needs

    @property
    def of_members(self) -> bool:
        """Whether it is evaluated for each member of the ensemble, and weighted."""
        return "teacher_logits" in self.needs or "teacher_image_gradient" in self.needs

    @property
    def of_labels(self) -> bool:
        """Whether it compares only the student's logits with labels."""
        return of_labels(self.part)

    @property
    def taught(self) -> bool:
        """Whether it needs anything of a teacher."""
        return self.of_members or bool(self.teacher_layers)

    @property
    def of_student_logits(self) -> bool:
        """Whether its gradient passes through the student's logits, and so through all of the student."""
        return "student_logits" in self.needs or "student_image_gradient" in self.needs

    @property
    def learns(self) -> bool:
        """Whether it has parameters of its own."""
        return isinstance(self.call, nn.Module)

    @property
    def acts_throughout(self) -> bool:
        """Whether it acts on every batch: a schedule that is above 0 at both ends is so in between."""
        return self.learns or (self.weight_at(0.0) > 0 and self.weight_at(1 - 1e-6) > 0)

    def weight_at(self, progress: float) -> float:
        """Its weight at this point of training."""
        return weight_at(self.weight, progress)

    def options_at(self, progress: float, teacher: str | None = None) -> dict[str, Any]:
        """Its options that vary, at this point of training and for this teacher."""
        return {name: value_at(value, progress, teacher) for name, value in self.varying.items()}


def of_labels(part: Part) -> bool:
    """Whether a loss compares only the student's logits with labels: an image may then have two."""
    return "labels" in part.needs and {"labels", "student_logits", "images"}.issuperset(part.needs)


def make_terms(losses: Mapping[str, Loss], sides: Sides) -> Iterator[Term]:
    """The terms of all losses; one with parameters of its own has an nn.Module as its `call`."""
    for label, loss in losses.items():
        part = find("loss", loss.part)
        scheduled = {name for name, parameter in part.parameters.items() if parameter.scheduled}
        varying = {name: value for name, value in loss.options.items() if name in scheduled}
        fixed = {name: value for name, value in loss.options.items() if name not in scheduled}
        matched = loss.matched
        assert matched is None or isinstance(matched, list), "a config has no domains"
        for student, teachers in _matched(part, matched, sides):
            yield Term(
                label,
                part,
                _instance(part, fixed, student, teachers, sides),
                loss.weight,
                varying,
                loss.filter,
                teachers[0][0] if matched else None,
                tuple(layer.path for layer in student),
                tuple((name, layer.path) for name, layer in teachers),
            )


_Matched = tuple[list[Layer], list[tuple[str, Layer]]]


def _matched(part: Part, matches: list[Match] | None, sides: Sides) -> Iterator[_Matched]:
    """The layers of each term that a loss makes: one a pair, or all of a teacher where it takes lists."""
    if part.facts.get("matching") == "members":
        theirs = [(name, hints[-1]) for name in sides.members if (hints := sides.teachers[name].hintable)]
        # A model may have no hintable layer: an MLP whose only hidden layer is as wide as its output.
        if sides.student.hintable and theirs:
            yield sides.student.hintable[-1:], theirs
    elif part.facts.get("matching") == "classifier":
        projector = next(layer for layer in sides.student.every if layer.path == "projector")
        name = sides.members[0]
        yield [projector], [(name, _read_by_classifier(sides.teachers[name].every, projector.shape[0]))]
    elif matches is None:
        yield [], []
    else:
        for match in matches:
            student, teacher = _layers(match, sides)
            if "student_features" in part.needs:
                yield student, teacher
            else:
                yield from (([a], [b]) for a, b in zip(student, teacher, strict=True))


def _read_by_classifier(every: list[Layer], width: int) -> Layer:
    """The layer before a model's classifier, of `width` channels: a map, if there is one."""
    last = max(index for index, layer in enumerate(every) if "." not in layer.path)
    wide = [layer for layer in every[:last] if layer.shape[0] == width]
    return next((layer for layer in reversed(wide) if layer.is_map), wide[-1])


def _layers(match: Match, sides: Sides) -> _Matched:
    name, (hints, every) = match.teacher, sides.teachers[match.teacher]
    if match.pairs == "all":
        return sides.student.hintable, [(name, layer) for layer in hints]
    assert isinstance(match.pairs, list), "in a config, rules have become pairs"
    by_path = {layer.path: layer for layer in sides.student.every}
    teacher_by_path = {layer.path: layer for layer in every}
    student = [by_path[str(path)] for path, _ in match.pairs]
    return student, [(name, teacher_by_path[str(path)]) for _, path in match.pairs]


def _instance(
    part: Part,
    options: Mapping[str, Any],
    student: list[Layer],
    teachers: list[tuple[str, Layer]],
    sides: Sides,
) -> Callable[..., Tensor]:
    make = part.load()
    if not isinstance(make, type):
        return partial(make, **options)
    supply: dict[str, Any] = {
        "student_shapes": [layer.shape for layer in student],
        "teacher_shapes": [layer.shape for _, layer in teachers],
        "examples": sides.examples,
        "classes": sides.classes,
    }
    if student:
        supply |= {"student_shape": student[0].shape, "teacher_shape": teachers[0][1].shape}
    module: nn.Module = part.build(supply, options)
    return module
