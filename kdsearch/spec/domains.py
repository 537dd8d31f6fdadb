"""Domains: the values of a spec that are still to be searched.

A domain is a mapping with one of the keys `float`, `int`, `choice`, `subset`, `simplex`, `matching`,
standing where a value would stand. The options of a `choice` may be mappings that hold domains of their own,
which makes conditional spaces plain nesting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Float:
    """A real number in [low, high], on a log scale or in steps if asked."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __str__(self) -> str:
        return f"{self.low:g} … {self.high:g}" + _scale(self.log, self.step)


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high], on a log scale or in steps if asked."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __str__(self) -> str:
        return f"{self.low} … {self.high}" + _scale(self.log, None if self.step == 1 else self.step)


@dataclass(frozen=True)
class Choice:
    """One of the options, each a value or a mapping with domains of its own."""

    options: tuple[Any, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """A distinct short text for each option: its name where it has one, otherwise its value."""
        named = [_label(option) for option in self.options]
        times = Counter(named)
        return tuple(name if times[name] == 1 else f"{name}#{index + 1}" for index, name in enumerate(named))

    def __str__(self) -> str:
        return " | ".join(self.labels)


@dataclass(frozen=True)
class Subset:
    """Any subset of `items` with `min` to `max` members; `items` None means all there are."""

    items: tuple[str, ...] | None
    min: int = 0
    max: int | None = None

    def __str__(self) -> str:
        return "subset of " + ("all" if self.items is None else ", ".join(self.items))


@dataclass(frozen=True)
class Simplex:
    """Weights that add up to one, drawn evenly over the simplex; `items` None means one for each teacher."""

    items: tuple[str, ...] | None

    def __str__(self) -> str:
        return "weights of " + ("the chosen teachers" if self.items is None else ", ".join(self.items))


#: How layers may be matched: by a rule, or `searched`, pair by pair.
STRATEGIES = ("none", "random", "last", "uniform", "stage_to_stage", "searched")


@dataclass(frozen=True)
class Matching:
    """Student layers matched to layers of each teacher in use, by one of the `strategies`.

    Those that are searched preserve the order: at most `max_pairs` pairs that do not cross.
    """

    max_pairs: int = 1
    min_pairs: int = 0
    strategies: tuple[str, ...] = ("searched",)

    def __str__(self) -> str:
        how = "order-preserving" if self.strategies == ("searched",) else " or ".join(self.strategies)
        return f"{how}, {self.min_pairs} … {self.max_pairs} pairs"


Domain = Float | Int | Choice | Subset | Simplex | Matching
KEYS: Mapping[str, frozenset[str]] = {
    "float": frozenset({"log", "step"}),
    "int": frozenset({"log", "step"}),
    "choice": frozenset(),
    "subset": frozenset({"min", "max"}),
    "simplex": frozenset(),
    "matching": frozenset(),
}


def domain_key(value: object) -> str | None:
    """The key that makes a mapping a domain, or None when `value` is none."""
    if not isinstance(value, Mapping) or "name" in value:
        return None
    keys = [key for key in KEYS if key in value]
    return keys[0] if len(keys) == 1 else None


def plain(value: Any) -> Any:
    """The YAML form of a domain, or of any tree that holds some."""
    match value:
        case Float(low, high, log, step):
            return {"float": [low, high]} | ({"log": True} if log else {}) | ({"step": step} if step else {})
        case Int(low, high, log, step):
            tail = ({"log": True} if log else {}) | ({"step": step} if step != 1 else {})
            return {"int": [low, high]} | tail
        case Choice(options):
            return {"choice": [plain(option) for option in options]}
        case Subset(items, least, most):
            tail = ({"min": least} if least else {}) | ({"max": most} if most is not None else {})
            return {"subset": "all" if items is None else list(items)} | tail
        case Simplex(items):
            return {"simplex": "all" if items is None else list(items)}
        case Matching(most, least, strategies):
            tail = {"min_pairs": least} if least else {}
            how = {} if strategies == ("searched",) else {"strategies": list(strategies)}
            return {"matching": {"max_pairs": most} | tail | how}
        case Mapping():
            return {key: plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
    return value


def has_domain(value: object) -> bool:
    """Whether a tree of plain values holds anything left to search."""
    match value:
        case Float() | Int() | Choice() | Subset() | Simplex() | Matching():
            return True
        case Mapping():
            return any(map(has_domain, value.values()))
        case list() | tuple():
            return any(map(has_domain, value))
    return False


def _scale(log: bool, step: float | None) -> str:
    return (", log" if log else "") + (f", step {step:g}" if step else "")


def _label(option: object) -> str:
    if isinstance(option, Mapping):
        return str(option.get("name", option.get("format", "mapping")))
    if isinstance(option, Domain):
        return str(option)
    return str(plain(option))
