"""IGD+ and additive epsilon, against their definitions written out in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from kdsearch.errors import InputError
from kdsearch.pareto import additive_epsilon, igd_plus

THREE = {"a": "maximize", "b": "minimize", "c": "minimize"}


def costs(frame, span):
    return frame.to_numpy() / span * np.array([-1.0, 1.0, 1.0])


@pytest.mark.parametrize("seed", range(5))
def test_they_are_what_their_definitions_say(seed):
    random = np.random.default_rng(seed)
    front = pd.DataFrame(random.random((7, 3)) * [1, 50, 0.01], columns=list(THREE))
    goal = pd.DataFrame(random.random((5, 3)) * [1, 50, 0.01], columns=list(THREE))
    span = goal.max().to_numpy() - goal.min().to_numpy()
    excess = costs(front, span)[None] - costs(goal, span)[:, None]
    nearest = np.sqrt((np.maximum(excess, 0) ** 2).sum(-1)).min(1)
    assert igd_plus(front, goal, THREE) == pytest.approx(nearest.mean())
    assert additive_epsilon(front, goal, THREE) == pytest.approx(excess.max(-1).min(1).max())


def test_a_front_is_at_no_distance_from_itself_and_ahead_of_a_worse_one():
    front = pd.DataFrame({"a": [0.5, 0.9], "b": [1.0, 3.0], "c": [2.0, 2.0]})
    worse = front.assign(a=front["a"] - 0.1, b=front["b"] + 1, c=front["c"] + 1)
    assert igd_plus(front, front, THREE) == additive_epsilon(front, front, THREE) == 0
    assert igd_plus(front, worse, THREE) == 0 and additive_epsilon(front, worse, THREE) < 0
    assert igd_plus(worse, front, THREE) > 0 and additive_epsilon(worse, front, THREE) > 0


def test_units_do_not_matter_and_missing_values_do_not_count():
    front = pd.DataFrame({"a": [0.5, 0.8], "b": [1.0, 4.0], "c": [2.0, 3.0]})
    goal = pd.DataFrame({"a": [0.6, 0.9], "b": [1.0, 3.0], "c": [1.0, 2.0]})
    scaled = [frame.assign(b=frame["b"] * 1e6) for frame in (front, goal)]
    assert igd_plus(*scaled, THREE) == pytest.approx(igd_plus(front, goal, THREE))
    holed = pd.concat([front, pd.DataFrame({"a": [9.0], "b": [math.nan], "c": [0.0]})])
    assert igd_plus(holed, goal, THREE) == igd_plus(front, goal, THREE)
    with pytest.raises(InputError, match="no finished trial"):
        igd_plus(front.iloc[:0], goal, THREE)
