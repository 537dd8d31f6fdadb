"""The bootstrap of a front, against every resample counted out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from kdsearch.errors import InputError
from kdsearch.pareto import bands, front_probability, resampled_means

TWO = {"accuracy": "maximize", "size_mb": "minimize"}


def runs(**accuracies: tuple[float, list[float]]) -> pd.DataFrame:
    rows = [(uid, a, size) for uid, (size, values) in accuracies.items() for a in values]
    return pd.DataFrame(rows, columns=["uid", *TWO])


def test_the_probability_is_the_share_of_all_resamples():
    values = {"p": (1.0, [0.70, 0.80, 0.90]), "q": (2.0, [0.75, 0.82, 0.79])}
    means = {uid: [np.mean(draw) for draw in product(v, repeat=3)] for uid, (_, v) in values.items()}
    # q is larger, so it is non-dominated only where it is more accurate.
    expected = np.mean([b > a + 1e-12 for a, b in product(means["p"], means["q"])])
    found = front_probability(resampled_means(runs(**values), TWO, draws=40_000), TWO)
    assert found["p"] == 1.0
    assert found["q"] == pytest.approx(expected, abs=0.01)


def test_means_of_runs_that_agree_have_no_spread():
    means = resampled_means(runs(p=(1.0, [0.5, 0.5]), q=(2.0, [0.4])), TWO, draws=10)
    assert np.array_equal(means["p"], np.tile([0.5, 1.0], (10, 1)))
    assert front_probability(means, TWO) == {"p": 1.0, "q": 0.0}


def test_the_spread_of_the_means_is_that_of_the_bootstrap():
    values = [0.70, 0.75, 0.90, 0.91, 0.94]
    means = resampled_means(runs(p=(1.0, values)), TWO, draws=50_000)["p"][:, 0]
    assert means.std() == pytest.approx(np.std(values) / np.sqrt(5), rel=0.02)
    assert means.mean() == pytest.approx(np.mean(values), abs=1e-3)


def test_recipes_within_the_noise_of_the_best_share_its_band():
    means = resampled_means(
        runs(
            best=(4.0, [0.90, 0.92, 0.94]),
            close=(3.0, [0.91, 0.92, 0.92]),
            worse=(2.0, [0.80, 0.81, 0.82]),
            worst=(1.0, [0.5, 0.5, 0.5]),
        ),
        TWO,
    )
    assert bands(means, TWO, "accuracy") == {"best": 1, "close": 1, "worse": 2, "worst": 3}
    assert list(bands(means, {"accuracy": "minimize"}, "accuracy").values()) == [1, 2, 3, 3]


def test_a_run_without_a_number_is_refused():
    with pytest.raises(InputError, match="a run of p"):
        resampled_means(runs(p=(1.0, [0.5, float("nan")])), TWO)
