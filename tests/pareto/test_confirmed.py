"""What fresh runs say of a front, on a made-up search whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kdsearch.pareto.confirmed import judge
from kdsearch.pareto.confirmed_plot import confirmed_figure, confirmed_png
from kdsearch.pareto.confirmed_table import confirmed_cells

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


@pytest.fixture
def failing(searched, runs):
    """`lucky` ended in one of five runs, better than ever; `gone` in none."""
    gone = pd.DataFrame(
        [{"uid": "gone", "recipe": "gone ← conv", "baseline": "", "front": True, "accuracy": 0.9}]
    ).assign(size_mb=2.0)
    survivor = pd.DataFrame([{"uid": "lucky", "seed": 1, "accuracy": 0.99, "test_accuracy": 0.98}])
    return judge(
        pd.concat([searched, gone], ignore_index=True),
        pd.concat([runs[runs["uid"] != "lucky"], survivor], ignore_index=True),
        TWO,
        noisy=["accuracy", "test_accuracy"],
        reference=REFERENCE,
        twins={"lucky": "twin", "small": "twin"},
        failed={"lucky": 4, "gone": 5},
    )


def test_a_recipe_of_which_a_run_failed_is_unstable_however_good_the_others_were(failing):
    table = failing.table.set_index("uid")
    assert table["failed"].to_dict() == {"lucky": 4, "big": 0, "small": 0, "twin": 0, "gone": 5}
    assert table.loc[["lucky", "gone"], "seeds"].tolist() == [1, 0]
    assert table.loc[["lucky", "gone"], "verdict"].tolist() == ["unstable", "unstable"]
    assert not table.loc[["lucky", "gone"], "front"].any()
    assert table.loc["lucky", "accuracy"] == 0.99 and np.isnan(table.loc["gone", "accuracy"])
    assert table.loc["gone", "size_mb"] == 2.0 and np.isnan(table.loc["lucky", "gain"])


def test_the_runs_that_ended_of_an_unstable_recipe_drive_no_other_off_the_front(failing, found):
    table = failing.table.set_index("uid")
    assert table.loc[["big", "small"], "verdict"].tolist() == ["holds", "holds"]
    assert table.loc["big", "front_probability"] == 1 and table.loc["small", "gain"] > 0
    assert failing.optimism.searched == pytest.approx(0.95 * 1 + 0.80 * 3)
    assert failing.optimism.confirmed == pytest.approx(0.94 * 1 + 0.80 * 3)


def test_failed_runs_stand_in_the_table_where_there_are_any(failing, found):
    heads, rows = confirmed_cells(failing)
    column = [row[heads.index("failed")] for row in rows]
    assert sorted(column) == ["0 of 3", "0 of 3", "0 of 3", "4 of 5", "5 of 5"]
    assert "failed" not in confirmed_cells(found)[0]
    assert all(len(row) == len(heads) for row in rows)


def test_nothing_is_on_the_front_when_a_run_of_every_recipe_failed(searched, runs):
    failed = dict.fromkeys(searched["uid"], 1)
    found = judge(searched, runs, TWO, noisy=["accuracy"], reference=REFERENCE, twins={}, failed=failed)
    assert not found.table["front"].any() and set(found.table["verdict"]) == {"unstable"}
    assert found.optimism.gap == 0


def test_unstable_recipes_can_be_drawn(failing, tmp_path):
    names = [trace.name for trace in confirmed_figure(failing).data if trace.name]
    assert "unstable: some of its runs failed" in names
    confirmed_png(failing, tmp_path / "confirmed.png")
    assert (tmp_path / "confirmed.png").stat().st_size > 1_000


def test_a_baseline_that_beats_a_member_enters(searched, runs):
    runs.loc[runs["uid"] == "twin", "accuracy"] += 0.1
    table = judge(searched, runs, TWO, noisy=["accuracy"], reference=REFERENCE, twins={}).table
    assert table.set_index("uid")["verdict"].to_dict() == {
        "big": "holds", "lucky": "luck", "small": "luck", "twin": "enters",
    }  # fmt: skip
