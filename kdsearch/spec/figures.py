"""The figures of a spec: what is measured of every student, with options where it takes some, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from kdsearch.constraints import Constraint, parse_constraints
from kdsearch.errors import InputError, KeyPath, Problem, nearest
from kdsearch.registry import find, metric, parts
from kdsearch.spec.domains import has_domain
from kdsearch.spec.fields import PartSection, Section, or_nothing
from kdsearch.spec.problems import problems
from kdsearch.types import Positive

if TYPE_CHECKING:
    from kdsearch.spec.schema import Spec

#: Metrics that a run has anyway, and the other columns of its row.
_TAKEN = frozenset({
    "epoch", "loss", "lr", "seconds", "time", "gain", "number", "estimated", "latency_runs",
    "logit_difference", "changed_predictions", "device", "governor", "libraries", "uid", "run_id", "recipe",
    "state", "baseline", "front", "reason", "config",
})  # fmt: skip


class FigureSection(PartSection):
    """A figure to be taken; its key is its metric, and by default the name of the objective it is."""

    kind: ClassVar[str] = "objective"
    name: str = ""


#: A key of `measure` that is no figure.
_RESOURCES = "resources"


class Measure(Section):
    """What is measured of every student beside the objectives, and on which kind of node."""

    model_config = ConfigDict(extra="allow", json_schema_extra=or_nothing)
    __pydantic_extra__: dict[str, FigureSection]

    resources: dict[str, Positive] = Field(
        default_factory=dict,
        description="Ray's resources of the node that times students and measures the front; by default "
        "students are timed where they are trained",
    )

    @property
    def figures(self) -> dict[str, FigureSection]:
        """The figures, by their keys."""
        return self.__pydantic_extra__ or {}

    @model_validator(mode="before")
    @classmethod
    def _named_by_key(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        named: dict[str, Any] = {}
        for key, given in value.items():
            if key == _RESOURCES:
                named[key] = given
                continue
            if not re.fullmatch(r"[A-Za-z_]\w*", str(key)) or _is_taken(str(key)):
                taken = (
                    f"'{key}' is not a valid name for a figure: use letters, digits and '_', and no name "
                    "that kdsearch uses"
                )
                raise problems([((key,), taken, given)])
            alone = given is None or isinstance(given, Mapping)
            named[key] = {"name": key, **(given or {})} if alone else given
            name = named[key].get("name") if isinstance(named[key], Mapping) else named[key]
            if key in parts("objective") and isinstance(name, str) and name != key:
                taken = f"'{key}' is an objective: choose another key for a figure of '{name}'"
                raise problems([((key,), taken, given)])
        return named


def _is_taken(name: str) -> bool:
    return name in _TAKEN or name.startswith("test_")


def metrics_of(spec: Spec) -> dict[str, Any]:
    """The direction of each objective, by metric."""
    return {metric(name): direction for name, direction in spec.objectives.items()}


def constraints_of(spec: Spec) -> list[Constraint]:
    """The constraints of a spec, one by one."""
    known = {*parts("objective"), *spec.measure.figures, *metrics_of(spec)}
    return [constraint for text in spec.constraints for constraint in parse_constraints(text, known)]


def check_figures(spec: Spec) -> Iterator[Problem]:
    """What is wrong with the figures, objectives and constraints of a spec, each being well formed."""
    for name in spec.objectives:
        if name not in spec.measure.figures:
            yield from _check_metric(name, spec)
            yield from _check_plain(("objectives", name), name, spec)
    for key, figure in spec.measure.figures.items():
        yield from _check_teachers(("measure", key), figure.part, figure.options.get("teacher"), spec)
    known = {*parts("objective"), *spec.measure.figures, *metrics_of(spec)}
    plain = set(parts("objective")) - {*spec.measure.figures, *metrics_of(spec)}
    for index, text in enumerate(spec.constraints):
        try:
            names = [constraint.name for constraint in parse_constraints(text, known)]
        except InputError as error:
            yield Problem(("constraints", index), str(error).removeprefix("constraint: "))
            continue
        for name in names:
            if name in plain:
                yield from _check_plain(("constraints", index), name, spec)


def _check_metric(name: str, spec: Spec) -> Iterator[Problem]:
    """The metric of an objective of the user's own, which follows from its name, is no other's."""
    key = metric(name)
    if key == name:
        return
    other = next((one for one in spec.objectives if one != name and metric(one) == key), None)
    if _is_taken(key):
        owner = "is a name that kdsearch uses"
    elif key in spec.measure.figures:
        owner = "is a figure under measure"
    elif key in parts("objective"):
        owner = "is another objective"
    elif other is not None:
        owner = f"is that of '{other}' too"
    else:
        return
    message = f"its metric '{key}' {owner}: give it a key of its own under measure, as KEY: {{name: {name}}}"
    yield Problem(("objectives", name), message)


def _check_plain(place: KeyPath, name: str, spec: Spec) -> Iterator[Problem]:
    """An objective that is named without options must be able to do without."""
    try:
        part = find("objective", name)
    except InputError as error:
        message = str(error)
        if close := nearest(name, spec.measure.figures).partition("did you mean ")[2]:
            message = f"unknown objective '{name}'; did you mean {close}"
        yield Problem(place, message)
        return
    if required := [option for option in part.parameters.values() if option.required]:
        key = required[0].name
        yield Problem(place, f"'{name}' needs '{key}': give it under measure, as {name}: {{{key}: …}}")
    yield from _check_teachers(place, name, None, spec)


def _check_teachers(place: KeyPath, name: str, teacher: object, spec: Spec) -> Iterator[Problem]:
    if "teacher_logits" not in find("objective", name).needs:
        return
    if not spec.teachers and has_domain(spec.tree()):
        # In a config there may be none: a search trains students from labels alone to compare with.
        yield Problem(place, f"'{name}' compares with teachers, and the spec names none")
    elif isinstance(teacher, str) and teacher not in spec.teachers:
        unknown = f"unknown teacher '{teacher}'{nearest(teacher, spec.teachers)}"
        yield Problem((*place, "teacher"), unknown)
