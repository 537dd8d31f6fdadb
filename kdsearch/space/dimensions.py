"""The dimensions of a space: what `sample` may ask for, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kdsearch.registry import find
from kdsearch.space.canonical import needs_members
from kdsearch.spec import Choice, Float, Int, Matching, Simplex, Spec, Subset


@dataclass(frozen=True)
class Dimension:
    """One value to be searched: its name, kind, range in words, and when it applies ('' for always)."""

    name: str
    kind: str
    range: str
    when: str = ""


def dimensions(spec: Spec) -> list[Dimension]:
    """Every dimension of a spec, in the order in which they are asked for. Empty for a config."""
    tree = spec.tree()
    use = tree["distill"]["teachers"]
    teachers, least, most = candidates(spec)
    found = [*_walk("student", tree["student"], "", ())]
    found += _walk("distill.teachers.members", use["members"], "", tuple(spec.teachers))
    for label, loss in tree["distill"]["losses"].items():
        path = f"distill.losses.{label}"
        if loss["weight"] == 0:
            continue
        taught = "a teacher is used" if needs_member(loss) and least == 0 else ""
        found += _walk(f"{path}.weight", loss["weight"], taught, teachers)
        when = _and(taught, f"{path}.weight > 0") if _may_vanish(loss["weight"]) else taught
        learned = find("loss", loss["name"]).facts.get("matching") == "learned"
        for key, inner in loss.items():
            if key == "match" and learned and isinstance(inner, Matching):
                inner = Matching(0)
            if key != "weight":
                found += _walk(f"{path}.{key}", inner, when, teachers if most > 1 else ())
    if most > 1:
        several = "several teachers" if least < 2 else ""
        found += _walk("distill.teachers.combine", use["combine"], several, teachers)
        found += _walk("distill.teachers.dropout", use["dropout"], several, teachers)
    found += _walk("optim", tree["optim"], "", ())
    return found


def candidates(spec: Spec) -> tuple[tuple[str, ...], int, int]:
    """The teachers that may be members beside others, and the least and the largest number of members."""
    members: Any = spec.distill.teachers.members
    match members:
        case Subset(items, least, most):
            named = tuple(spec.teachers) if items is None else items
            return named, least, len(named) if most is None else min(most, len(named))
        case Choice(options):
            sizes = [len(option) for option in options]
            several = dict.fromkeys(name for option in options if len(option) > 1 for name in option)
            return tuple(several), min(sizes), max(sizes)
    return tuple(members), len(members), len(members)


def needs_member(loss: Mapping[str, Any]) -> bool:
    """Whether a loss has nothing to act on when no teacher is a member."""
    return needs_members(find("loss", loss["name"])) or isinstance(loss.get("match"), Matching)


def _may_vanish(weight: Any) -> bool:
    match weight:
        case Float(low=low) | Int(low=low):
            return low == 0
        case Choice(options):
            return any(map(_may_vanish, options))
    return bool(weight == 0)


def _walk(path: str, value: Any, when: str, teachers: tuple[str, ...]) -> Iterator[Dimension]:
    match value:
        case Float():
            yield Dimension(path, "float", str(value), when)
        case Int():
            yield Dimension(path, "int", str(value), when)
        case Choice(options):
            yield Dimension(path, "choice", str(value), when)
            for label, option in zip(value.labels, options, strict=True):
                yield from _walk(f"{path}.{label}", option, _and(when, f"{path} = {label}"), teachers)
        case Subset(items, least, most):
            names = items or teachers
            for index, item in enumerate(names):
                fewest, room = least - len(names) + index, len(names) if most is None else most
                if max(0, fewest + 1) <= min(index, room - 1):  # otherwise the bounds leave no choice
                    yield Dimension(f"{path}.{item}", "subset", "in or out", when)
        case Simplex(items):
            for item in items or teachers:
                yield Dimension(
                    f"{path}.{item}", "simplex", "share of the weights", _and(when, f"{item} is used")
                )
        case Matching(most, least):
            if len(teachers) > 1:
                several = _and(when, "several teachers")
                yield Dimension(f"{path}.teacher", "matching", " | ".join(teachers), several)
            if least < most:
                yield Dimension(f"{path}.pairs", "matching", f"{least} … {most}", when)
            for pair in range(1, most + 1):
                needed = _and(when, f"{path}.pairs >= {pair}") if pair > least else when
                for side in ("student", "teacher"):
                    yield Dimension(f"{path}.{side}{pair}", "matching", "depth 0 … 1", needed)
        case Mapping():
            for key, inner in value.items():
                yield from _walk(f"{path}.{key}", inner, when, teachers)
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from _walk(f"{path}.{index}", inner, when, teachers)


def _and(first: str, second: str) -> str:
    return " and ".join(filter(None, (first, second)))
