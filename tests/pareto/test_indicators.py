"""Hypervolume, reference point and knee, against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from kdsearch.errors import InputError
from kdsearch.pareto import hypervolume, knee, reference_point

TWO = {"accuracy": "maximize", "size_mb": "minimize"}


def frame(*points: tuple[float, ...], columns: tuple[str, ...] = ("accuracy", "size_mb")) -> pd.DataFrame:
    return pd.DataFrame(points, columns=columns, index=list("pqrstuvw")[: len(points)])


def test_hypervolume_of_two_objectives_is_the_area_of_the_steps():
    points = frame((0.5, 1.0), (0.8, 2.0), (0.9, 4.0), (0.6, 3.0))
    by_hand = (5 - 1) * (0.5 - 0.1) + (5 - 2) * (0.8 - 0.5) + (5 - 4) * (0.9 - 0.8)
    assert hypervolume(points, TWO, {"accuracy": 0.1, "size_mb": 5.0}) == pytest.approx(by_hand)


def test_hypervolume_of_three_objectives_is_the_counted_volume():
    random = np.random.default_rng(1)
    points = random.integers(1, 8, (12, 3))
    directions = {"a": "minimize", "b": "maximize", "c": "minimize"}
    cells = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), axis=-1) + 0.5
    inside = [(cells[..., 0] > a) & (cells[..., 1] < b) & (cells[..., 2] > c) for a, b, c in points]
    counted = np.logical_or.reduce(inside).sum()
    table = pd.DataFrame(points, columns=list(directions))
    assert hypervolume(table, directions, {"a": 8, "b": 0, "c": 8}) == pytest.approx(counted)


def test_what_is_missing_or_no_better_than_the_reference_adds_nothing():
    reference = {"size_mb": 5.0, "accuracy": 0.1}
    assert hypervolume(frame((0.05, 1.0), (0.9, 6.0), (math.nan, 1.0), (0.9, -math.inf)), TWO, reference) == 0
    assert hypervolume(frame(), TWO, reference) == 0


def test_the_reference_point_is_a_tenth_of_the_range_beyond_the_worst():
    points = frame((0.5, 1.0), (0.9, 5.0), (0.7, math.nan))
    assert reference_point(points, TWO) == pytest.approx({"accuracy": 0.46, "size_mb": 5.4})


def test_the_reference_point_of_one_point_is_still_worse_than_it():
    assert reference_point(frame((0.5, 0.0)), TWO) == pytest.approx({"accuracy": 0.45, "size_mb": 0.1})
    with pytest.raises(InputError, match="no finished trial"):
        reference_point(frame((math.nan, 1.0)), TWO)


def test_the_knee_is_the_member_farthest_from_the_line_between_the_extremes():
    points = frame((0.5, 0.0), (0.7, 3.0), (0.85, 2.0), (0.88, 6.0), (0.9, 10.0), (0.1, 100.0))
    assert knee(points, TWO) == "r"


def test_the_knee_does_not_depend_on_units_or_order():
    points = frame((0.5, 0.0), (0.85, 2.0), (0.88, 6.0), (0.9, 10.0))
    scaled = points.assign(size_mb=points.size_mb * 1e6 + 7).sample(frac=1, random_state=0)
    assert knee(points, TWO) == knee(scaled, TWO) == "q"
    assert knee(points, dict(reversed(TWO.items()))) == "q"


def test_the_knee_of_three_objectives_bulges_towards_the_ideal():
    directions = {"a": "minimize", "b": "minimize", "c": "minimize"}
    corners = [(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)]
    table = frame(*corners, (0.6, 0.6, 0.6), (0.4, 0.5, 0.4), (0.3, 0.9, 0.7), columns=("a", "b", "c"))
    assert knee(table, directions) == "t"


def test_the_knee_of_three_objectives_with_one_best_of_two_is_still_found():
    directions = {"a": "minimize", "b": "minimize", "c": "minimize"}
    table = frame((0.0, 0.0, 1.0), (1.0, 1.0, 0.0), (0.2, 0.2, 0.2), columns=("a", "b", "c"))
    assert knee(table, directions) == "r"


def test_small_fronts_have_a_knee_too():
    assert knee(frame((0.5, 1.0)), TWO) == "p"
    assert knee(frame((0.5, 1.0), (0.9, 5.0)), TWO) == "q"
    assert knee(frame((0.5, 1.0), (0.5, 1.0)), TWO) == "p"
    assert knee(frame((0.5, 1.0), (0.9, 5.0)), {"accuracy": "maximize"}) == "q"
    with pytest.raises(InputError, match="no finished trial"):
        knee(frame((math.nan, 1.0)), TWO)
