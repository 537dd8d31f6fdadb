"""A figure: an objective, its options, and the metric that its value becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from kdsearch.errors import InputError
from kdsearch.registry import Part, find, metric
from kdsearch.spec import Spec, constraints_of

Basis = Literal["architecture", "timed", "predictions", "trained"]
"""What a figure follows from: the architecture alone, a clock beside it, predictions on a split, or the
trained student, asked once more after training."""

#: Measured for every student, whatever is asked for.
ALWAYS = ("accuracy", "parameters", "macs", "size_mb")

_ARCHITECTURE = {"model", "shape", "architecture", "deploy"}
_PREDICTIONS = {"logits", "labels", "classes", "teacher_logits", "members"}
_TRAINED = {"predict", "images", "labels", "classes"}


@dataclass(frozen=True)
class Figure:
    """One figure to be taken, under the metric `name`."""

    name: str
    part: Part
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def basis(self) -> Basis:
        """What it follows from."""
        return basis_of(self.part)

    @property
    def key(self) -> str:
        """Its part and its options: figures that agree in these have the same value."""
        options = ", ".join(f"{key}={value!r}" for key, value in sorted(self.options.items()))
        return f"{self.part.module}:{self.part.target}({options})"


def figure(name: str) -> Figure:
    """The objective `name` without options of its own.

    Raises:
        InputError: When there is none.
    """
    return Figure(metric(name), find("objective", name))


def figures_of(spec: Spec) -> list[Figure]:
    """What is measured of every student: what is free, and what a spec asks for or names in its objectives or
    bounds."""
    own = {metric(name): name for name in spec.objectives}
    bounded = [own.get(bound.name, bound.name) for bound in constraints_of(spec)]
    names = dict.fromkeys([*ALWAYS, *spec.measure.figures, *spec.objectives, *bounded])
    return [
        Figure(name, find("objective", given.part), given.options)
        if (given := spec.measure.figures.get(name)) is not None
        else figure(name)
        for name in names
    ]


def basis_of(part: Part) -> Basis:
    """What `part` follows from: as it declares by `known`, else as its arguments tell.

    Raises:
        InputError: When no one basis supplies all of its arguments.
    """
    needs = set(part.needs)
    guesses = {"architecture": _ARCHITECTURE, "predictions": _PREDICTIONS, "trained": _TRAINED}
    guess = next((name for name, told in guesses.items() if needs and needs <= told), None)
    if guess is None:
        raise InputError(
            f"objective '{part.name}' must take 'model' and 'shape', or 'logits' and 'labels', or 'predict', "
            "'images' and 'labels'"
        )
    return cast(Basis, part.facts.get("known", guess))
