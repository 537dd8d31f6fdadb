"""Every picture of a search, the report, and the story that it tells."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kdsearch.constraints import parse_constraints
from kdsearch.pareto import hypervolume, hypervolumes
from kdsearch.pareto.album import pictures, write_pictures
from kdsearch.pareto.confirmed import judge
from kdsearch.pareto.report import report
from kdsearch.pareto.story import story

NAMES = ["front", "hypervolume", "importances", "parallel", "diagrams", "curves"]


@pytest.fixture
def confirmed(album):
    random = np.random.default_rng(0)
    chosen = album.trials[album.trials["front"]]
    rows = [
        {"uid": row.uid, "accuracy": row.accuracy - 0.02 + random.normal(0, 0.01), "test_accuracy": 0.9}
        for row in chosen.itertuples()
        for _ in range(3)
    ]
    noisy = ["accuracy", "test_accuracy"]
    twins = dict.fromkeys(chosen["uid"], chosen["uid"].iloc[0])
    return judge(
        chosen, pd.DataFrame(rows), album.objectives, noisy=noisy, reference=album.reference, twins=twins
    )


def test_every_picture_is_a_page_and_a_png_and_needs_no_network(album, confirmed, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = write_pictures(replace(album, confirmed=confirmed), tmp_path)
    assert [path.stem for path in files[::2]] == [NAMES[0], "confirmed", *NAMES[1:]]
    for path in files:
        data = path.read_bytes()
        if path.suffix == ".png":
            assert data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) < 1_000_000
        else:
            assert b"src=" not in data.replace(b"<svg", b"") and len(data) < 2_500_000
            assert b"Plotly.newPlot" in data or b"<svg" in data


def test_what_there_is_nothing_to_draw_of_is_left_out(album, tmp_path):
    bare = replace(album, importances={}, trials=album.trials.drop(columns=["config", "curve"]))
    assert [each.name for each in pictures(bare)] == ["front", "hypervolume"]
    none = replace(album, trials=album.trials.head(0))
    assert list(pictures(none)) == [] and "made up" in report(none)


def test_the_reports_table_has_every_objective(album):
    trials = album.trials.assign(score=0.12345)
    objectives, reference = album.objectives | {"score": "maximize"}, album.reference | {"score": 0.0}
    own = replace(album, trials=trials, objectives=objectives, reference=reference)
    table = report(own).partition("<table>")[2].partition("</table>")[0]
    assert "<th>Score</th>" in table and "<td>0.123</td>" in table
    assert (
        "Score" not in report(replace(album, trials=trials)).partition("<table>")[2].partition("</table>")[0]
    )


def test_one_objective_has_no_front_to_draw_but_all_else(album):
    one = replace(album, objectives={"accuracy": "maximize"}, reference={"accuracy": 0.0})
    assert [each.name for each in pictures(one)] == NAMES[1:]


def test_the_report_holds_plotly_once_and_every_picture(album, confirmed):
    text = report(replace(album, confirmed=confirmed))
    assert text.count('id="plotly"') == 1 and len(text) < 3_000_000
    assert all(f'<div id="{name}" class="picture"' in text for name in ("front", "confirmed", "parallel"))
    assert "<svg" in text
    for recipe in album.front["recipe"]:
        assert recipe in text


def test_a_recipe_can_put_no_script_into_the_report(album):
    album.trials.loc[album.trials["front"], "recipe"] = "</script><script>alert(1)</script>"
    assert "<script>alert" not in report(album)


def test_hypervolume_after_each_trial_is_that_of_the_trials_so_far(album):
    trials, reference = album.complete, album.reference
    expected = [hypervolume(trials.head(n), album.objectives, reference) for n in range(1, len(trials) + 1)]
    assert hypervolumes(trials, album.objectives, reference) == pytest.approx(expected)


def test_trials_that_break_a_constraint_add_nothing_to_the_hypervolume(album):
    bound = float(album.complete["latency_ms"].median())
    bounded = replace(album, constraints=parse_constraints(f"latency_ms <= {bound}", ["latency_ms"]))
    kept = album.complete[album.complete["latency_ms"] <= bound]
    assert 0 < len(kept) < len(album.complete) == len(bounded.hypervolumes)
    expected = hypervolume(kept, album.objectives, album.reference)
    assert bounded.hypervolumes[-1] == pytest.approx(expected) != pytest.approx(album.hypervolumes[-1])


def test_the_story_says_what_was_gained_what_was_used_and_what_was_idle(album):
    told = "\n".join(story(album))
    front = album.front
    volume = hypervolume(front, album.objectives, album.reference)
    assert f"The front has {len(front)}. It dominates a hypervolume of {volume:#.3g}" in told
    assert "39 came to an end" in told and "size 1 MB" in told
    assert f"median {100 * front['gain'].median():+.2f}" in told
    assert "Not worth searching here (under 3% of every objective): distill.losses.ce.weight." in told
    assert "No member has been trained with other seeds yet" in told
    assert "1 recipe failed: its worker died (1)." in told
    taught = [c for c in front["config"] if c["distill"]["teachers"]["members"]]
    assert f"The {len(taught)} taught member" in told and f"conv {len(taught)}" in told


def test_the_story_of_a_confirmed_search_tells_optimism_and_luck(album, confirmed):
    told = "\n".join(story(replace(album, confirmed=confirmed)))
    assert "Trained again with 3 fresh seeds each" in told and "optimism gap" in told
    assert ("Luck had put on the front" in told) == (confirmed.table["verdict"] == "luck").any()
    assert "No member has been trained" not in told and "Runs failed" not in told


def test_the_story_names_recipes_of_which_runs_failed(album, confirmed):
    table = confirmed.table
    table.loc[0, ["failed", "verdict"]] = [2, "unstable"]
    told = "\n".join(story(replace(album, confirmed=confirmed)))
    assert f"nothing is said of their place: {table.loc[0, 'recipe']} (2 of 5)." in told
