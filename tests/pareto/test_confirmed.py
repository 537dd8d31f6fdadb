"""What fresh runs say of a front, on a made-up search whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kdsearch.pareto.confirmed import judge

TWO = {"accuracy": "maximize", "size_mb": "minimize"}
REFERENCE = {"accuracy": 0.0, "size_mb": 5.0}


@pytest.fixture
def searched():
    return pd.DataFrame(
        {
            "uid": ["big", "lucky", "small", "twin"],
            "recipe": ["big ← conv", "lucky ← conv", "small ← conv", "small"],
            "baseline": ["", "", "", "labels"],
            "front": [True, True, True, False],
            "accuracy": [0.95, 0.94, 0.80, 0.70],
            "size_mb": [4.0, 3.0, 1.0, 1.0],
        }
    )


@pytest.fixture
def runs():
    fresh = {
        "big": [0.94, 0.95, 0.93],
        "lucky": [0.76, 0.78, 0.77],
        "small": [0.80, 0.79, 0.81],
        "twin": [0.72, 0.78, 0.84],
    }
    rows = [(uid, k, a, a - 0.01) for uid, values in fresh.items() for k, a in enumerate(values, 1)]
    return pd.DataFrame(rows, columns=["uid", "seed", "accuracy", "test_accuracy"])


@pytest.fixture
def found(searched, runs):
    return judge(
        searched,
        runs,
        TWO,
        noisy=["accuracy", "test_accuracy"],
        reference=REFERENCE,
        twins={"small": "twin", "twin": "twin", "big": "never run"},
    )


def test_means_and_spread_are_those_of_the_fresh_runs_alone(found, runs):
    table = found.table.set_index("uid")
    for uid, own in runs.groupby("uid"):
        assert table.loc[uid, "accuracy"] == pytest.approx(np.mean(own["accuracy"]))
        assert table.loc[uid, "accuracy_std"] == pytest.approx(np.std(own["accuracy"], ddof=1))
        assert table.loc[uid, "test_accuracy"] == pytest.approx(np.mean(own["test_accuracy"]))
        assert table.loc[uid, "seeds"] == 3
    assert table["size_mb"].to_dict() == {"big": 4.0, "lucky": 3.0, "small": 1.0, "twin": 1.0}
    assert "size_mb_std" not in table
    assert found.table.loc[0, "uid"] == "big" and table.loc["lucky", "searched"] == 0.94


def test_a_member_that_owed_its_place_to_luck_is_said_to_be_so(found):
    table = found.table.set_index("uid")
    assert table["verdict"].to_dict() == {"big": "holds", "lucky": "luck", "small": "holds", "twin": ""}
    assert table["front"].to_dict() == {"big": True, "lucky": False, "small": True, "twin": False}
    assert table.loc["lucky", "front_probability"] == 0 and table.loc["big", "front_probability"] == 1


def test_gain_is_over_the_twin_and_its_interval_holds_zero_when_seeds_explain_it(found):
    table = found.table.set_index("uid")
    small = table.loc["small"]
    assert small["gain"] == pytest.approx(0.80 - 0.78)
    assert small["gain_low"] < 0 < small["gain_high"]
    assert table.loc[["big", "twin"], "gain"].isna().all()


def test_small_and_its_twin_are_one_band(found):
    assert found.table.set_index("uid")["band"].to_dict() == {"big": 1, "small": 2, "twin": 2, "lucky": 3}


def test_the_optimism_is_what_luck_had_added(found):
    assert found.optimism.searched == pytest.approx(0.95 * 1 + 0.94 * 1 + 0.80 * 2)
    assert found.optimism.confirmed == pytest.approx(0.94 * 1 + 0.80 * 3)


def test_a_baseline_that_beats_a_member_enters(searched, runs):
    runs.loc[runs["uid"] == "twin", "accuracy"] += 0.1
    table = judge(searched, runs, TWO, noisy=["accuracy"], reference=REFERENCE, twins={}).table
    assert table.set_index("uid")["verdict"].to_dict() == {
        "big": "holds", "lucky": "luck", "small": "luck", "twin": "enters",
    }  # fmt: skip
