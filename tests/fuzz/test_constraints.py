"""Constraints, as in a spec and for `--where`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fuzzed import texts
from hypothesis import given
from hypothesis import strategies as st

from kdsearch.constraints import parse_constraints

Attempt = Callable[[Callable[[], Any]], Any]
NAMES = ["accuracy", "size_mb", "latency_ms"]

_tokens = st.sampled_from(
    [*NAMES, "<=", "<", ">=", ">", "==", "!=", "=", "and", "or", ",", "(", ")", "1", "nan"]
)
_numbers = st.floats().map(repr) | st.integers().map(str) | texts
_bounds = st.tuples(st.sampled_from(NAMES), st.sampled_from(["<=", "<", ">=", ">", "==", "!="]), _numbers)


@given(
    text=st.text()
    | st.lists(_tokens | texts, max_size=8).map(" ".join)
    | st.lists(_bounds.map(" ".join), max_size=4).map(" and ".join),
    value=st.floats(),
)
def test_any_text_as_constraints(attempt: Attempt, text: str, value: float):
    found = attempt(lambda: parse_constraints(text, NAMES))
    if found is None:
        return
    assert parse_constraints(", ".join(map(str, found)), NAMES) == found
    for bound in found:
        assert math.isfinite(bound.bound)
        assert bound.holds(value) == (bound.violation(value) <= 0)
        assert not (math.isnan(value) and bound.holds(value))


def test_a_long_text_takes_no_longer_than_it_is(attempt: Attempt):
    for text in ("(" * 100_000, "1" * 100_000, "a" * 100_000, "accuracy <= 1 and " * 10_000, "1e" * 50_000):
        assert attempt(lambda text=text: parse_constraints(text, NAMES)) is None
    assert len(parse_constraints(" and ".join(["accuracy <= 1"] * 5000), NAMES)) == 5000
