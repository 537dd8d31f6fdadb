"""Two fronts under one reference point, and on one plot."""

from __future__ import annotations

import pandas as pd
import pytest

from kdsearch.errors import InputError
from kdsearch.pareto.compare import (
    common_reference,
    compare_figure,
    compare_png,
    compared,
    shared_objectives,
)

TWO = {"accuracy": "maximize", "size_mb": "minimize"}


@pytest.fixture
def fronts():
    one = pd.DataFrame({"accuracy": [0.9, 0.7], "size_mb": [3.0, 1.0], "recipe": ["a", "b"]})
    two = pd.DataFrame({"accuracy": [0.8], "size_mb": [2.0], "recipe": ["<c>"]})
    return {"one": one, "two": two}


def test_hypervolumes_are_taken_up_to_the_worst_of_the_references(fronts):
    reference = common_reference([{"accuracy": 0.0, "size_mb": 4.0}, {"accuracy": 0.1, "size_mb": 3.5}], TWO)
    assert reference == {"accuracy": 0.0, "size_mb": 4.0}
    table = compared(fronts, TWO, reference).set_index("search")
    assert table["hypervolume"].to_dict() == pytest.approx({"one": 0.9 + 1.4, "two": 1.6})
    # The joint front is all three; in its ranges (0.2, 2) 'two' misses (0.9, 3) by 0.5 in accuracy.
    assert table.loc["two", "additive_epsilon"] == pytest.approx(0.5)
    assert table.loc["one", "igd_plus"] == pytest.approx(0.5 / 3)


def test_only_objectives_that_all_share_are_compared():
    other = {"size_mb": "minimize", "accuracy": "maximize", "macs": "minimize"}
    assert shared_objectives({"one": TWO, "two": other}) == TWO
    with pytest.raises(InputError, match="one and two share fewer than two"):
        shared_objectives({"one": TWO, "two": {"accuracy": "maximize"}})


def test_the_plot_names_each_search_with_its_hypervolume(fronts, tmp_path):
    table = compared(fronts, TWO, {"accuracy": 0.0, "size_mb": 4.0})
    figure = compare_figure(fronts, TWO, table, x="size_mb", y="accuracy")
    assert [t.name for t in figure.data if t.name] == ["one: hypervolume 2.30", "two: hypervolume 1.60"]
    assert "&lt;c&gt;" in figure.data[-1].hovertext[0]
    compare_png(fronts, TWO, table, "size_mb", "accuracy", tmp_path / "both.png")
    assert (tmp_path / "both.png").stat().st_size > 10_000


def test_three_repetitions_get_their_median_attainment(fronts):
    three = fronts | {"three": fronts["one"].assign(accuracy=[0.85, 0.75])}
    table = compared(three, TWO, {"accuracy": 0.0, "size_mb": 4.0})
    figure = compare_figure(three, TWO, table, x="size_mb", y="accuracy")
    assert figure.data[-1].name == "median attainment"
    # Two of three reach 70 % at 1 MB and 85 % at 3 MB; at 2 MB the second best has 75 %.
    corners = dict(zip(figure.data[-1].x, figure.data[-1].y, strict=True))
    assert corners[1.0] == pytest.approx(70) and max(figure.data[-1].y) == pytest.approx(85)


def test_the_median_attainment_follows_the_direction_of_an_objective_of_ones_own(fronts):
    objectives = {"score": "maximize", "size_mb": "minimize"}
    own = {name: front.rename(columns={"accuracy": "score"}) for name, front in fronts.items()}
    own["three"] = own["one"].assign(score=[0.85, 0.75])
    table = compared(own, objectives, {"score": 0.0, "size_mb": 4.0})
    figure = compare_figure(own, objectives, table, x="size_mb", y="score")
    corners = dict(zip(figure.data[-1].x, figure.data[-1].y, strict=True))
    assert corners[1.0] == pytest.approx(0.7) and max(figure.data[-1].y) == pytest.approx(0.85)
