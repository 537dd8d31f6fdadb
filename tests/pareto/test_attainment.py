"""The empirical attainment, against counting on a grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kdsearch.errors import InputError
from kdsearch.pareto import attainment

TWO = {"accuracy": "maximize", "size": "minimize"}


def fronts(count, seed=0):
    random = np.random.default_rng(seed)
    return [
        pd.DataFrame(random.integers(0, 12, (5, 2)).astype(float), columns=list(TWO)) for _ in range(count)
    ]


@pytest.mark.parametrize("share", [1 / 3, 0.5, 2 / 3, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_place_is_under_the_surface_when_enough_searches_attain_it(share, seed):
    repeated = fronts(6, seed)
    surface = attainment(repeated, TWO, share)
    for accuracy in np.arange(-1, 13):
        for size in np.arange(-1, 13):

            def attained(front, accuracy=accuracy, size=size):
                return ((front["accuracy"] >= accuracy) & (front["size"] <= size)).any()

            counted = sum(map(attained, repeated)) >= round(share * 6)
            assert attained(surface) == counted, (accuracy, size)


def test_a_search_that_found_nothing_attains_nothing():
    repeated = [*fronts(1), pd.DataFrame(columns=list(TWO), dtype=float)]
    assert attainment(repeated, TWO, 1.0).empty
    half = attainment(repeated, TWO, 0.5)
    assert len(half) and set(map(tuple, half.to_numpy())) <= set(map(tuple, repeated[0].to_numpy()))


def test_four_objectives_are_refused():
    with pytest.raises(InputError, match="two or three"):
        attainment(fronts(2), dict.fromkeys("abcd", "minimize"), 0.5)
