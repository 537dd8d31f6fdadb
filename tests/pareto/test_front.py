"""Non-dominated sets, against a brute force that knows nothing of either implementation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsearch.pareto import Change, Front, non_dominated

DIRECTIONS = {"a": "maximize", "b": "minimize", "c": "maximize", "d": "minimize"}


def brute_force(rows: list[dict[str, float]], directions: dict[str, str]) -> set[int]:
    def gains(new: dict[str, float], old: dict[str, float]) -> list[float]:
        return [(new[n] - old[n]) * (1 if d == "maximize" else -1) for n, d in directions.items()]

    valid = [i for i, row in enumerate(rows) if all(math.isfinite(row[n]) for n in directions)]
    beaten = {i for i in valid for j in valid if min(g := gains(rows[j], rows[i])) >= 0 and max(g) > 0}
    return set(valid) - beaten


# Few values, so that ties abound; the odd NaN and infinity.
value = st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0, 4.0, 5.0, math.nan, math.inf, -math.inf])


@given(st.integers(1, 4), st.data())
def test_the_incremental_front_is_the_batch_front_is_the_brute_force(count, data):
    directions = dict(list(DIRECTIONS.items())[:count])
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(directions, value)), max_size=25))
    expected = brute_force(rows, directions)

    front = Front(directions)
    members: set[int] = set()
    for number, row in enumerate(rows):
        change = front.add(str(number), row)
        members = (members | {number} if change.entered else members) - set(map(int, change.left))
        assert members == brute_force(rows[: number + 1], directions)
    assert set(map(int, front.keys)) == expected

    frame = pd.DataFrame(rows, columns=list(directions))
    assert set(np.flatnonzero(non_dominated(frame, directions))) == expected


def test_a_large_front_of_random_points_is_that_of_the_brute_force():
    points = np.random.default_rng(0).integers(0, 40, (300, 4)).astype(float)
    rows = [dict(zip(DIRECTIONS, point, strict=True)) for point in points.tolist()]
    assert set(np.flatnonzero(non_dominated(pd.DataFrame(rows), DIRECTIONS))) == brute_force(rows, DIRECTIONS)


def test_a_change_says_what_entered_and_what_left():
    front = Front({"accuracy": "maximize", "size_mb": "minimize"})
    assert front.add("small", {"accuracy": 0.8, "size_mb": 1}) == Change(entered=True)
    assert front.add("large", {"accuracy": 0.9, "size_mb": 4}) == Change(entered=True)
    assert front.add("worse", {"accuracy": 0.7, "size_mb": 2}) == Change(entered=False)
    assert front.add("better", {"accuracy": 0.9, "size_mb": 1}) == Change(
        entered=True, left=("small", "large")
    )
    assert front.keys == ("better",) and "better" in front and len(front) == 1


def test_equal_points_are_both_kept_and_leave_together():
    front = Front({"accuracy": "maximize"})
    assert front.add("one", {"accuracy": 0.8}).entered and front.add("two", {"accuracy": 0.8}).entered
    assert front.add("three", {"accuracy": 0.9}).left == ("one", "two")


@pytest.mark.parametrize("values", [{}, {"accuracy": 0.9}, {"accuracy": 0.9, "size_mb": math.nan}])
def test_a_missing_value_never_enters(values):
    front = Front({"accuracy": "maximize", "size_mb": "minimize"})
    assert front.add("x", values) == Change(entered=False) and front.keys == ()


def test_a_member_added_again_changes_nothing_unless_it_differs():
    front = Front({"accuracy": "maximize"})
    front.add("x", {"accuracy": 0.8})
    assert front.add("x", {"accuracy": 0.8}) == Change(entered=False) and front.keys == ("x",)
    with pytest.raises(ValueError, match="'x' is in the front with other values"):
        front.add("x", {"accuracy": 0.9})


def test_a_front_without_objectives_is_refused():
    with pytest.raises(ValueError, match="at least one objective"):
        Front({})
    with pytest.raises(ValueError, match="at least one objective"):
        non_dominated(pd.DataFrame({"accuracy": [1.0]}), {})


def test_frames_with_text_gaps_and_odd_indices_are_read():
    directions = {"accuracy": "maximize", "size_mb": "minimize"}
    frame = pd.DataFrame({"accuracy": ["0.9", "0.8", None], "size_mb": [1, 2, 1]}, index=["p", "q", "r"])
    assert non_dominated(frame, directions).to_dict() == {"p": True, "q": False, "r": False}
    assert not non_dominated(frame[["accuracy"]], directions).any()
    assert non_dominated(pd.DataFrame(), directions).empty
