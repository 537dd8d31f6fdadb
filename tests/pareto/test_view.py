"""What a picture shows: its groups, its step line, its axes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kdsearch.pareto.view import view

TWO = {"accuracy": "maximize", "latency_ms": "minimize"}


def frame(points, x="latency_ms", y="accuracy", **columns):
    return pd.DataFrame(points, columns=[x, y]).assign(**columns)


def test_the_step_line_bounds_what_the_front_dominates():
    shown = view(frame([(1, 0.5), (2, 0.7), (4, 0.9), (5, 0.6)]), TWO, "latency_ms", "accuracy")
    assert shown.step == pytest.approx(np.array([(1, 50), (2, 50), (2, 70), (4, 70), (4, 90), (5, 90)]))


@pytest.mark.parametrize(
    ("objectives", "corner"),
    [
        ({"x": "minimize", "y": "minimize"}, (3, 8)),
        ({"x": "maximize", "y": "maximize"}, (1, 2)),
    ],
)
def test_the_corner_between_two_members_is_the_worse_of_both(objectives, corner):
    shown = view(frame([(1, 8), (3, 2)], "x", "y"), objectives, "x", "y")
    assert corner in set(map(tuple, shown.step.tolist()))


def test_every_trial_with_both_values_is_in_a_group(trials, objectives):
    shown = view(trials, objectives, "size_mb", "accuracy")
    groups = [shown.front, shown.apart, shown.others, *shown.baselines]
    uids = [uid for group in groups for uid in group.rows["uid"]]
    assert set(uids) == set(trials["uid"]) - {"t002"}
    assert [group.name for group in shown.baselines] == ["labels only", "Hinton KD"]


def test_a_member_by_another_objective_stands_apart_from_the_line():
    trials = frame([(1, 0.9), (2, 0.8), (3, 0.7)], size_mb=[5, 1, 9])
    objectives = {"accuracy": "maximize", "latency_ms": "minimize", "size_mb": "minimize"}
    shown = view(trials, objectives, "latency_ms", "accuracy")
    assert [list(g.rows.index) for g in (shown.front, shown.apart, shown.others)] == [[0], [1], [2]]


@pytest.mark.parametrize("marks", [[True, False], ["true", "false"], ["true", None], [1.0, np.nan]])
def test_the_marks_of_the_frame_decide_who_is_a_member(marks):
    trials = frame([(2, 0.8), (1, 0.9)], front=pd.Series(marks, dtype=object))
    shown = view(trials, {"accuracy": "maximize"}, "latency_ms", "accuracy")
    assert list(shown.front.rows.index) == [0]


@pytest.mark.parametrize(("wide", "log"), [(1.9, False), (2.1, True)])
def test_a_wide_range_has_a_log_axis(wide, log):
    assert view(frame([(0.1, 0.5), (wide, 0.6)]), TWO, "latency_ms", "accuracy").log_x is log
    assert not view(frame([(0.0, 0.5), (wide, 0.6)]), TWO, "latency_ms", "accuracy").log_x


def test_one_metric_makes_no_picture():
    with pytest.raises(ValueError, match="not 'accuracy' twice"):
        view(frame([(1, 1)]), {}, "accuracy", "accuracy")
