"""The dimensions of a space: what `sample` may ask for, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kdsearch.spec import Choice, Float, Int, Matching, Simplex, Spec, Subset


@dataclass(frozen=True)
class Dimension:
    """One value to be searched: its name, its kind, its range in words, and when it applies ('' for always)."""

    name: str
    kind: str
    range: str
    when: str = ""


def dimensions(spec: Spec) -> list[Dimension]:
    """Every dimension of a spec, in the order in which they are asked for. Empty for a config."""
    tree = spec.tree()
    teachers = tuple(spec.teachers)
    use = tree["distill"]["teachers"]
    found = [*_walk("student", tree["student"], "", teachers)]
    found += _walk("distill.teachers.members", use["members"], "", teachers)
    for label, loss in tree["distill"]["losses"].items():
        path = f"distill.losses.{label}"
        found += _walk(f"{path}.weight", loss["weight"], "", teachers)
        when = f"{path}.weight > 0" if _may_vanish(loss["weight"]) else ""
        for key, inner in loss.items():
            if key != "weight":
                found += _walk(f"{path}.{key}", inner, when, teachers)
    several = "" if isinstance(use["members"], list) else "several teachers"
    if isinstance(use["members"], Subset | Choice) or len(use["members"]) > 1:
        found += _walk("distill.teachers.combine", use["combine"], several, teachers)
    found += _walk("optim", tree["optim"], "", teachers)
    return found


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
        case Subset(items):
            for item in items or teachers:
                yield Dimension(f"{path}.{item}", "subset", "in or out", when)
        case Simplex(items):
            for item in items or teachers:
                yield Dimension(
                    f"{path}.{item}", "simplex", "share of the weights", _and(when, f"{item} is used")
                )
        case Matching(most, least):
            if len(teachers) > 1:
                yield Dimension(f"{path}.teacher", "matching", " | ".join(teachers), when)
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
    return f"{first} and {second}" if first else second
