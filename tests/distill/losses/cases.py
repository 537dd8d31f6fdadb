"""Made-up inputs for any loss, by the names of its parameters, and plain NumPy to check losses by."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kdsearch.distill.connect import map_shape
from kdsearch.registry import Part

Array = NDArray[np.float64]
Shapes = Sequence[tuple[int, ...]]

CLASSES, EXAMPLES, IMAGE = 5, 24, (3, 6, 6)
#: Two matched layers on each side: student and teacher differ in width and in resolution.
STUDENT: Shapes = ((3, 6, 6), (5, 3, 3))
TEACHER: Shapes = ((4, 8, 8), (6, 4, 4))


@dataclass(frozen=True)
class Case:
    """A loss, built, with one batch to call it on."""

    call: Callable[..., Tensor]
    inputs: Mapping[str, Any]

    def value(self) -> Tensor:
        return self.call(**self.inputs)

    @property
    def module(self) -> nn.Module:
        return self.call if isinstance(self.call, nn.Module) else nn.Module()

    def tensors(self, side: str) -> list[Tensor]:
        """The floating-point inputs that come from the `student` or the `teacher`."""
        return [t for name, value in self.inputs.items() if name.startswith(side) for t in _each(value)]


def make_loss(
    part: Part,
    *,
    batch: int = 6,
    student: Shapes = STUDENT,
    teacher: Shapes = TEACHER,
    equal: bool = False,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    **options: Any,
) -> Case:
    """The loss that `part` names, built for features of these shapes, with random inputs for it.

    Args:
        part: A part of the kind `loss`.
        batch: How many images.
        student: Shapes of the student's matched features; a loss on one pair gets the first.
        teacher: Those of the teacher.
        equal: The teacher's inputs are the student's; `teacher` is then not used.
        dtype: Of all floating-point inputs.
        seed: Of the inputs and of the loss's own parameters.
        options: The loss's options.
    """
    torch.manual_seed(seed)
    if part.facts.get("matching") == "classifier":  # A projector has brought the student to its width.
        student = [
            (map_shape(theirs)[0], *map_shape(ours)[1:])
            for ours, theirs in zip(student, teacher, strict=True)
        ]
    teacher = student if equal else teacher
    target = part.load()
    given = {"classes": CLASSES, "examples": EXAMPLES}
    shapes = {
        "student_shape": student[0],
        "teacher_shape": teacher[0],
        "student_shapes": list(student),
        "teacher_shapes": list(teacher),
    }
    call: Callable[..., Tensor] = (
        target(**_wanted(target, given | shapes), **options)
        if isinstance(target, type)
        else lambda **inputs: target(**inputs, **options)
    )
    inputs: dict[str, Any] = {}
    for side, widths in (("student", student), ("teacher", teacher)):
        torch.manual_seed(seed if equal else seed + len(inputs))
        features = [torch.randn(batch, *shape, dtype=dtype) for shape in widths]
        inputs[f"{side}_logits"] = 2 * torch.randn(batch, CLASSES, dtype=dtype)
        inputs[f"{side}_feature"], inputs[f"{side}_features"] = features[0], features
        inputs[f"{side}_image_gradient"] = torch.randn(batch, *IMAGE, dtype=dtype)
    inputs["labels"] = torch.arange(batch) % CLASSES
    inputs["indices"] = torch.randperm(EXAMPLES)[:batch]
    inputs["images"] = torch.randn(batch, *IMAGE, dtype=dtype)
    inputs["progress"] = 0.5
    called = call.forward if isinstance(call, nn.Module) else target
    case = Case(call, _wanted(called, given | inputs))
    for tensor in case.tensors("student"):
        tensor.requires_grad_()
    return case


def _wanted(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: values[p.name] for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}


def _each(value: Any) -> Iterator[Tensor]:
    yield from value if isinstance(value, list) else [value]


def random(*shape: int, seed: int = 0) -> Tensor:
    """Random numbers in float64, for exact comparison."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def softmax(logits: Array) -> Array:
    """One row's probabilities, by the definition."""
    exponentials: Array = np.exp(logits)
    return exponentials / sum(exponentials)


def divergence(p: Array, q: Array) -> float:
    """KL(p ‖ q) of two rows of probabilities, by the definition."""
    return float(sum(a * (np.log(a) - np.log(b)) for a, b in zip(p, q, strict=True)))


def flat(feature: Tensor) -> list[Array]:
    """A batch's features as one float64 vector an image."""
    return [image.detach().double().numpy().ravel() for image in feature]
