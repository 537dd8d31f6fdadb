"""Constraints on results, such as `latency_ms <= 1.0 and accuracy >= 0.9`, for specs and for `--where`.

The text is read by a tokenizer of four lines and never evaluated as code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, cast, get_args

from kdsearch.errors import InputError, nearest

Operator = Literal["<=", "<", ">=", ">", "==", "!="]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?!\w)|[+-]?(?:inf|infinity|nan)\b)"
    r"|(?P<join>,|and\b)|(?P<operator>[<>=!]+)|(?P<name>[a-z_][\w.]*)|(?P<other>\S))",
    re.IGNORECASE,
)

#: Characters of the text that an error quotes on each side of the place it points at, and of its message.
_AROUND, _LONGEST = 80, 300


@dataclass(frozen=True)
class Constraint:
    """A bound that the value called `name` must keep, in that value's own unit."""

    name: str
    operator: Operator
    bound: float

    def violation(self, value: float) -> float:
        """By how much `value` breaks the bound: positive when broken, 0 or negative when it holds.

        The size is the distance to the bound in the value's own unit. A value at a bound that excludes it
        breaks it by the smallest step a float can make; NaN breaks every bound, by infinity.
        """
        if math.isnan(value):
            return math.inf
        gap = value - self.bound
        match self.operator:
            case "<=":
                return gap
            case ">=":
                return -gap
            case "==":
                return abs(gap)
            case "<":
                return gap or math.ulp(self.bound)
            case ">":
                return -gap or math.ulp(self.bound)
            case "!=":
                return -abs(gap) or math.ulp(self.bound)

    def holds(self, value: float) -> bool:
        """Whether `value` keeps the bound."""
        return self.violation(value) <= 0

    def __str__(self) -> str:
        return f"{self.name} {self.operator} {repr(self.bound).removesuffix('.0')}"


def parse_constraints(text: str, names: Collection[str]) -> list[Constraint]:
    """Every constraint in `text`: `NAME OPERATOR NUMBER`, joined by `and` or commas; all of them must hold.

    Args:
        text: Such as `latency_ms <= 1.0, accuracy >= 0.9`. Operators: `<= < >= > == !=`.
        names: The names that may be constrained.

    Raises:
        InputError: The syntax is wrong (a caret shows where), a name is unknown, or a bound is not finite.
    """
    tokens = _tokens(text)
    constraints: list[Constraint] = []
    while True:
        at, name = _expect(text, tokens, "name", "the name of an objective")
        if name not in names:
            raise _error(text, at, f"unknown objective '{name}'{nearest(name, names)}")
        at, operator = _expect(text, tokens, "operator", "one of <= < >= > == !=")
        if operator not in get_args(Operator):
            raise _error(text, at, f"unknown operator '{operator}'; expected one of <= < >= > == !=")
        at, number = _expect(text, tokens, "number", "a number")
        if not math.isfinite(bound := float(number)):
            raise _error(text, at, f"the bound '{number}' is not finite")
        constraints.append(Constraint(name, cast(Operator, operator), bound))
        kind, at, _ = next(tokens)
        if kind == "end":
            return constraints
        if kind != "join":
            raise _error(text, at, "expected 'and', a comma or the end")


def _tokens(text: str) -> Iterator[tuple[str, int, str]]:
    """Kind, position and text of each token; the last one is of the kind `end`."""
    for found in _TOKEN.finditer(text):
        kind = str(found.lastgroup)
        yield kind, found.start(kind), found[kind]
    yield "end", len(text.rstrip()), ""


def _expect(text: str, tokens: Iterator[tuple[str, int, str]], kind: str, expected: str) -> tuple[int, str]:
    found, at, token = next(tokens)
    if found != kind:
        raise _error(text, at, f"expected {expected}, not " + (f"'{token}'" if token else "the end"))
    return at, token


def _error(text: str, at: int, message: str) -> InputError:
    start = max(0, at - _AROUND)
    line = re.sub(r"\s", " ", text)[start : at + _AROUND]
    return InputError(f"constraint: {message[:_LONGEST]}\n  {line}\n  {' ' * (at - start)}^")
