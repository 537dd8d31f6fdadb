"""The dimensions of a space: what `sample` may ask for, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from kdsearch.registry import find
from kdsearch.space.losses import acts_on_members, all_losses, vanishes
from kdsearch.space.losses import learned_matching as learns
from kdsearch.spec import Choice, Float, Int, Matching, Simplex, Spec, Subset

#: Strategies of a matching for which the number of pairs is drawn, and how many seeds `random` has.
COUNTED = ("random", "uniform", "searched")
SEEDS = 1000


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
    teachers, beside, least, most = candidates(spec)
    sure = teachers if least == len(teachers) else ()
    found = [*_walk("student", tree["student"], "", ())]
    found += _walk("distill.teachers.members", use["members"], "", tuple(spec.teachers))
    for index, stage in enumerate(tree["distill"]["stages"]):
        for key in ("epochs", "fraction"):
            found += _walk(f"distill.stages.{index}.{key}", stage[key], "", ())
    for place, loss in all_losses(tree["distill"]):
        path = f"distill.{place}"
        if vanishes(loss["weight"]):
            continue
        taught = "a teacher is used" if needs_a_teacher(loss) and least == 0 else ""
        found += _walk(f"{path}.weight", loss["weight"], taught, beside)
        when = _and(taught, f"{path}.weight > 0") if _may_vanish(loss["weight"]) else taught
        for key, inner in loss.items():
            if key == "match" and isinstance(inner, Matching):
                found += _matching(f"{path}.match", inner, when, teachers, sure) if not learns(loss) else ()
            elif key != "weight":
                found += _walk(f"{path}.{key}", inner, when, beside if most > 1 else ())
    for index, stage in enumerate(tree["distill"]["stages"]):
        found += _walk(f"distill.stages.{index}.optim", stage["optim"], "", ())
    if most > 1:
        several = "several teachers" if least < 2 else ""
        found += _walk("distill.teachers.combine", use["combine"], several, beside)
        found += _walk("distill.teachers.dropout", use["dropout"], several, beside)
    found += _walk("optim", tree["optim"], "", ())
    found += _walk("deploy", tree["deploy"], "", ())
    return found


class Candidates(NamedTuple):
    """The teachers that may be members, those that may be beside others, and how many may be at once."""

    names: tuple[str, ...]
    beside: tuple[str, ...]
    least: int
    most: int


def candidates(spec: Spec) -> Candidates:
    """Who may be a member in some config of a spec."""
    members: Any = spec.distill.teachers.members
    match members:
        case Subset(items, least, most):
            named = tuple(spec.teachers) if items is None else items
            return Candidates(named, named, least, len(named) if most is None else min(most, len(named)))
        case Choice(options):
            sizes = [len(option) for option in options]
            named = tuple(dict.fromkeys(name for option in options for name in option))
            several = tuple(dict.fromkeys(name for option in options if len(option) > 1 for name in option))
            return Candidates(named, several, min(sizes), max(sizes))
    return Candidates(tuple(members), tuple(members), len(members), len(members))


def needs_a_teacher(loss: Mapping[str, Any]) -> bool:
    """Whether a loss has nothing to act on when no teacher is a member."""
    return acts_on_members(find("loss", loss["name"])) or isinstance(loss.get("match"), Matching)


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
        case Mapping():
            for key, inner in value.items():
                yield from _walk(f"{path}.{key}", inner, when, teachers)
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from _walk(f"{path}.{index}", inner, when, teachers)


def _matching(
    path: str, domain: Matching, when: str, teachers: tuple[str, ...], sure: tuple[str, ...]
) -> Iterator[Dimension]:
    """The dimensions of a matching: its own for each teacher."""
    for teacher in teachers:
        at, used = f"{path}.{teacher}", when if teacher in sure else _and(when, f"{teacher} is used")
        several = len(domain.strategies) > 1
        if several:
            yield Dimension(f"{at}.strategy", "matching", " | ".join(domain.strategies), used)
        counted = [name for name in domain.strategies if name in COUNTED]
        if counted and domain.min_pairs < domain.max_pairs:
            uses = _and(used, _one_of(f"{at}.strategy", counted)) if several else used
            yield Dimension(f"{at}.pairs", "matching", f"{domain.min_pairs} … {domain.max_pairs}", uses)
        if "random" in domain.strategies:
            uses = _and(used, _one_of(f"{at}.strategy", ["random"])) if several else used
            yield Dimension(f"{at}.seed", "matching", f"0 … {SEEDS - 1}", uses)
        if "searched" not in domain.strategies:
            continue
        searched = _and(used, _one_of(f"{at}.strategy", ["searched"])) if several else used
        for pair in range(1, domain.max_pairs + 1):
            needed = _and(searched, f"{at}.pairs >= {pair}") if pair > domain.min_pairs else searched
            for side in ("student", "teacher"):
                yield Dimension(f"{at}.{side}{pair}", "matching", "depth 0 … 1", needed)


def _one_of(name: str, values: list[str]) -> str:
    return f"{name} = {' or '.join(values)}"


def _and(first: str, second: str) -> str:
    return " and ".join(filter(None, (first, second)))
