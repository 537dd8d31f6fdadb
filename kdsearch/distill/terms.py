"""From the losses of a spec to terms: what each is called with, and on which layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from kdsearch.distill.layers import Layer
from kdsearch.registry import Part, find
from kdsearch.spec import Loss, Match


@dataclass(frozen=True)
class Sides:
    """What is known of the student and its teachers when losses are made.

    `student` and `teachers` hold the layers of each, (hintable ones, all), and may be empty where no loss
    asks for features.
    """

    student: tuple[list[Layer], list[Layer]]
    teachers: Mapping[str, tuple[list[Layer], list[Layer]]]
    members: tuple[str, ...]
    examples: int
    classes: int


@dataclass(frozen=True)
class Term:
    """One loss at work. Its layers are paths: the student's, and those of teachers as (teacher, path)."""

    label: str
    weight: float
    call: Callable[..., Tensor]
    needs: tuple[str, ...]
    temperature: float
    student_layers: tuple[str, ...] = ()
    teacher_layers: tuple[tuple[str, str], ...] = ()

    @property
    def of_members(self) -> bool:
        """Whether it is evaluated for each member of the ensemble, and weighted."""
        return "teacher_logits" in self.needs or "teacher_image_gradient" in self.needs


def make_terms(losses: Mapping[str, Loss], sides: Sides) -> Iterator[Term]:
    """The terms of all losses; one with parameters of its own has an nn.Module as its `call`."""
    for label, loss in losses.items():
        part = find("loss", loss.part)
        temperature = float(loss.options.get("temperature", 1.0))
        for student, teachers in _matched(part, loss.matched, sides):
            call = _instance(part, loss.options, student, teachers, sides)
            paths = tuple(layer.path for layer in student)
            theirs = tuple((name, layer.path) for name, layer in teachers)
            yield Term(label, float(loss.weight), call, part.needs, temperature, paths, theirs)


_Matched = tuple[list[Layer], list[tuple[str, Layer]]]


def _matched(part: Part, match: Match | None, sides: Sides) -> Iterator[_Matched]:
    """The layers of each term that a loss makes: one a pair, or all at once where it takes lists."""
    if part.facts.get("matching") == "members":
        yield sides.student[0][-1:], [(name, sides.teachers[name][0][-1]) for name in sides.members]
    elif match is None:
        yield [], []
    elif match.pairs == "all":
        yield sides.student[0], [(match.teacher, layer) for layer in sides.teachers[match.teacher][0]]
    else:
        student = {layer.path: layer for layer in sides.student[1]}
        teacher = {layer.path: layer for layer in sides.teachers[match.teacher][1]}
        pairs = [(student[str(a)], (match.teacher, teacher[str(b)])) for a, b in match.pairs]
        if "student_features" in part.needs:
            yield [a for a, _ in pairs], [b for _, b in pairs]
        else:
            yield from (([a], [b]) for a, b in pairs)


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
    asked = inspect.signature(make).parameters
    module: nn.Module = make(**{key: value for key, value in supply.items() if key in asked}, **options)
    return module
