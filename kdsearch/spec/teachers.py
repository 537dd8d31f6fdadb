"""Whether what a spec says of its teachers, wherever it names them, holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kdsearch.errors import KeyPath, Problem, nearest
from kdsearch.registry import find
from kdsearch.spec.domains import Choice, Simplex, Subset
from kdsearch.spec.recipe import Ensemble, Loss, Match
from kdsearch.spec.schema import Spec

_MEMBERS: KeyPath = ("distill", "teachers", "members")
_COMBINE: KeyPath = ("distill", "teachers", "combine")


def check_teachers(spec: Spec) -> Iterator[Problem]:
    """What is wrong with the members, how they are combined, and the losses that need them."""
    path, named = _named(spec)
    yield from _check_members(spec, path, named)
    yield from _check_merging(spec, named)
    yield from _check_weights(spec)
    yield from _check_losses(spec, path, named)
    yield from _check_reused(spec, named)


def _named(spec: Spec) -> tuple[KeyPath, list[str]]:
    """The teachers that may be members, and where they are named."""
    members: Any = spec.distill.teachers.members
    match members:
        case Subset(items):
            return (*_MEMBERS, "subset"), list(items or spec.teachers)
        case Choice(options):
            return _MEMBERS, [name for option in options for name in option]
    return _MEMBERS, list(members)


def _check_members(spec: Spec, path: KeyPath, named: list[str]) -> Iterator[Problem]:
    """Every member is a teacher, and there are as many as a subset needs."""
    members: Any = spec.distill.teachers.members
    if isinstance(members, Subset) and members.min > len(named):
        yield Problem(path, f"no subset of {len(named)} teachers has at least {members.min} members")
    for name in named:
        yield from _check_known(path, name, spec.teachers)


def _check_merging(spec: Spec, named: list[str]) -> Iterator[Problem]:
    """Ensembles that merge outputs need those of every member for every class, which specialists lack."""
    specialists = [name for name in named if name in spec.teachers and spec.teachers[name].classes]
    for path, ensemble in _ensembles(spec):
        if specialists and find("ensemble", ensemble.part).facts.get("merges"):
            yield Problem(
                path,
                f"'{ensemble.part}' merges the outputs of all teachers, and '{specialists[0]}' has no output "
                "for some classes",
            )


def _check_reused(spec: Spec, named: list[str]) -> Iterator[Problem]:
    """A student that ends in the classifier of its first teacher needs one for every class."""
    specialists = [name for name in _first(spec, named) if spec.teachers[name].classes]
    for place, label, loss in spec.distill.all_losses():
        reuses = find("loss", loss.part).facts.get("matching") == "classifier" and loss.weight != 0
        if reuses and specialists:
            yield Problem(
                ("distill", *place, label),
                f"'{loss.part}' reuses the classifier of the first teacher in use, and '{specialists[0]}', "
                "which may be the first, has no output for some classes",
            )


def _first(spec: Spec, named: list[str]) -> list[str]:
    """The teachers that may be the first in use, in the order of the spec."""
    members: Any = spec.distill.teachers.members
    order = [name for name in spec.teachers if name in named]
    match members:
        case Subset():
            # Those that follow must suffice for the least subset.
            return order[: len(order) - max(members.min, 1) + 1]
        case Choice(options):
            each = [[name for name in order if name in option] for option in options]
            return [names[0] for names in each if names]
    return order[:1]


def _check_weights(spec: Spec) -> Iterator[Problem]:
    """Options of ensembles that name teachers, as `weights` does, name no others."""
    for path, ensemble in _ensembles(spec):
        for key, value in ensemble.options.items():
            if isinstance(value, Simplex | Mapping):
                for name in (value.items or ()) if isinstance(value, Simplex) else value:
                    yield from _check_known((*path, key), name, spec.teachers)


def _check_losses(spec: Spec, members: KeyPath, named: list[str]) -> Iterator[Problem]:
    """Losses that need a teacher have one, and what they say per teacher is about those there are."""
    for place, label, loss in spec.distill.all_losses():
        path: KeyPath = ("distill", *place, label)
        wants = any(need.startswith("teacher_") for need in find("loss", loss.part).needs)
        if wants and not spec.teachers:
            yield Problem(path, "this loss needs a teacher, and the spec names none")
        elif wants and spec.distill.teachers.members == [] and not _matches(loss):
            yield Problem(members, f"the loss '{label}' needs a teacher: name one, or {{subset: all}}")
        for match in _matches(loss):
            yield from _check_known((*path, "match", "teacher"), match.teacher, spec.teachers)
        yield from _check_per_teacher(path, loss, named, spec.teachers)


def _check_per_teacher(
    path: KeyPath, loss: Loss, members: Iterable[str], teachers: Iterable[str]
) -> Iterator[Problem]:
    """Values given per teacher name every teacher that may be a member, and nothing else."""
    for key, value in loss.options.items():
        if not (isinstance(value, Mapping) and isinstance(given := value.get("per_teacher"), Mapping)):
            continue
        for name in given:
            yield from _check_known((*path, key, "per_teacher", name), name, teachers)
        if missing := [name for name in members if name not in given]:
            yield Problem((*path, key, "per_teacher"), f"no value for the teacher '{missing[0]}'")


def _check_known(path: KeyPath, name: str, teachers: Iterable[str]) -> Iterator[Problem]:
    if name not in teachers:
        yield Problem(path, f"unknown teacher '{name}'{nearest(name, teachers)}")


def _matches(loss: Loss) -> list[Match]:
    """The matchings that a loss names, in all options of a choice."""
    matched = loss.matched
    if isinstance(matched, Choice):
        return [match for option in matched.options if isinstance(option, list) for match in option]
    return matched if isinstance(matched, list) else []


def _ensembles(spec: Spec) -> Iterator[tuple[KeyPath, Ensemble]]:
    combine: Any = spec.distill.teachers.combine
    if isinstance(combine, Choice):
        yield from (((*_COMBINE, "choice", i), option) for i, option in enumerate(combine.options))
    else:
        yield _COMBINE, combine
