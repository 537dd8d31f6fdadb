"""Constraints: what parses, what it means, and what the errors say."""

from __future__ import annotations

import math
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsearch.constraints import Constraint, parse_constraints
from kdsearch.errors import InputError

NAMES = ("accuracy", "latency_ms", "size_mb", "inference", "android")
MEANING = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}
finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latency_ms <= 1.0", [("latency_ms", "<=", 1.0)]),
        ("latency_ms<=1", [("latency_ms", "<=", 1.0)]),
        ("size_mb < 2e-1 and accuracy >= .9", [("size_mb", "<", 0.2), ("accuracy", ">=", 0.9)]),
        ("size_mb != 2, accuracy > -1 AND latency_ms == +3", None),
        ("inference > 1 and android > 2", [("inference", ">", 1.0), ("android", ">", 2.0)]),
    ],
)
def test_a_text_is_read_as_its_constraints(text, expected):
    found = [(c.name, c.operator, c.bound) for c in parse_constraints(text, NAMES)]
    assert found == (expected or [("size_mb", "!=", 2), ("accuracy", ">", -1), ("latency_ms", "==", 3)])


@pytest.mark.parametrize("sign", MEANING)
@given(value=finite, bound=finite)
def test_a_constraint_means_what_its_operator_means_in_python(sign, value, bound):
    constraint = Constraint("accuracy", sign, bound)
    assert constraint.holds(value) == MEANING[sign](value, bound)
    assert (constraint.violation(value) > 0) != constraint.holds(value)
    assert not Constraint("accuracy", sign, bound).holds(math.nan)


@pytest.mark.parametrize("sign", MEANING)
def test_a_value_at_the_bound_is_decided_by_the_operator(sign):
    assert Constraint("accuracy", sign, 0.0).holds(0.0) == MEANING[sign](0.0, 0.0)


def test_a_violation_is_the_distance_to_the_bound():
    assert Constraint("latency_ms", "<=", 1.0).violation(3.5) == 2.5
    assert Constraint("accuracy", ">=", 0.9).violation(0.4) == 0.5
    assert Constraint("latency_ms", "<=", 1.0).violation(0.5) == -0.5


@given(name=st.sampled_from(NAMES), sign=st.sampled_from(sorted(MEANING)), bound=finite)
def test_a_printed_constraint_reads_back_as_itself(name, sign, bound):
    constraint = Constraint(name, sign, bound)
    assert parse_constraints(str(constraint), NAMES) == [constraint]


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(InputError, match=r"unknown objective 'latency'; did you mean 'latency_ms'\?"):
        parse_constraints("latency <= 1", NAMES)


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("", "expected the name of an objective, not the end", 0),
        ("accuracy", "expected one of <= < >= > == !=, not the end", 8),
        ("accuracy = 1", "unknown operator '='", 9),
        ("accuracy >= ", "expected a number, not the end", 11),
        ("accuracy >= 1x", "expected a number", 12),
        ("accuracy >= x", "expected a number, not 'x'", 12),
        ("accuracy >= 1 size_mb < 2", "expected 'and', a comma or the end", 14),
        ("0 < accuracy", "expected the name of an objective, not '0'", 0),
        ("accuracy > 0 and", "expected the name of an objective, not the end", 16),
        ("__import__('os') > 1", "unknown objective '__import__'", 0),
        ("accuracy > (1)", "expected a number, not '('", 11),
        ("accuracy < inf", "the bound 'inf' is not finite", 11),
        ("accuracy < 1e999", "the bound '1e999' is not finite", 11),
        ("accuracy < -nan", "the bound '-nan' is not finite", 11),
    ],
)
def test_bad_syntax_is_shown_with_a_caret_under_it(text, message, position):
    with pytest.raises(InputError) as caught:
        parse_constraints(text, NAMES)
    lines = str(caught.value).split("\n")
    assert message in lines[0]
    assert lines[1:] == [f"  {text}", "  " + " " * position + "^"]
