"""The pictures, interactive and for print."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from kdsearch.pareto import front_figure, front_png, hypervolume_figure, non_dominated, write_html

TEACHERS = {"conv": 0.986, "mlp": 0.972}


@pytest.fixture
def figure(trials, objectives):
    return front_figure(trials, objectives, x="size_mb", y="accuracy", teachers=TEACHERS)


def test_every_finished_trial_can_be_hovered_with_its_recipe(figure, trials):
    hovered = [text for trace in figure.data if trace.hovertext is not None for text in trace.hovertext]
    for recipe in trials["recipe"].drop(index=2):
        assert any(f"<b>{recipe}</b>" in text for text in hovered)
    assert all("Accuracy: " in text and "Size: " in text and "MACs: " in text for text in hovered)


def test_the_groups_differ_in_shape_not_only_in_colour(figure):
    symbols = [trace.marker.symbol for trace in figure.data if trace.mode == "markers"]
    assert len(set(symbols)) == len(symbols) == 5


def test_the_front_is_drawn_as_it_is(figure, trials, objectives):
    by_name = {trace.name: trace for trace in figure.data}
    drawn = np.concatenate([by_name["Pareto front"].x, by_name["on the front by another objective"].x])
    expected = sorted(trials.loc[non_dominated(trials, objectives), "size_mb"])
    assert sorted(drawn[np.isfinite(drawn)]) == expected


def test_teachers_are_levels_where_the_axis_is_accuracy(figure, trials, objectives):
    assert [shape.y0 for shape in figure.layout.shapes] == pytest.approx([98.6, 97.2])
    assert [note.text for note in figure.layout.annotations] == [
        "teacher conv 98.60 %",
        "teacher mlp 97.20 %",
    ]
    other = front_figure(trials, objectives, x="size_mb", y="latency_ms", teachers=TEACHERS)
    assert not other.layout.shapes


def buttons(figure):
    return {button.label: button.args for button in figure.layout.updatemenus[0].buttons}


def test_the_menu_offers_each_pair_of_objectives_and_redraws_every_trace(figure):
    offered = buttons(figure)
    names = {"Accuracy against size", "Accuracy against latency", "Size against latency"}
    assert next(iter(offered)) == "Accuracy against size" and names <= set(offered)
    for label, (data, layout) in offered.items():
        assert len(data["x"]) == len(data["y"]) == len(figure.data)
        assert [len(x) for x in data["x"][1:]] == [len(trace.hovertext) for trace in figure.data[1:]]
        assert bool(layout["shapes"]) == label.startswith("Accuracy")
    np.testing.assert_array_equal(offered["Accuracy against size"][0]["x"][1], figure.data[1].x)


def test_what_every_complete_trial_has_is_offered_beside_the_objectives(trials):
    two = {"accuracy": "maximize", "size_mb": "minimize"}
    trials["parameters"] = trials["size_mb"] * 250e3
    figure = front_figure(trials, two, x="size_mb", y="accuracy")
    assert figure.layout.xaxis.type == "log"
    costs = ("size", "latency", "parameters", "MACs")
    labels = set(buttons(figure))
    assert {f"Accuracy against {name}" for name in costs} <= labels
    assert len(labels) == 10  # all pairs of these five
    trials.loc[5, "latency_ms"] = np.nan
    fewer = set(buttons(front_figure(trials, two, x="size_mb", y="accuracy")))
    assert len(fewer) == 6 and not any("atency" in label for label in fewer)


def test_test_accuracy_is_offered_when_the_front_has_it_and_shows_the_front_alone(trials):
    two = {"accuracy": "maximize", "size_mb": "minimize"}
    front = non_dominated(trials, two)
    trials["test_accuracy"] = (trials["accuracy"] - 0.01).where(front)
    figure = front_figure(trials, two, x="size_mb", y="accuracy", teachers=TEACHERS)
    in_legend = {trace.name for trace in figure.data if trace.showlegend}
    assert in_legend == {"other trials", "labels only", "Hinton KD", "Pareto front"}
    data, layout = buttons(figure)["Test accuracy against size"]
    assert layout["yaxis.title.text"] == "Test accuracy (%)" and not layout["shapes"]
    legend = dict(zip([trace.name for trace in figure.data], data["showlegend"], strict=True))
    assert [name for name, shown in legend.items() if shown] == ["Pareto front"]
    y = np.concatenate(data["y"][1:])
    found = np.unique(y[np.isfinite(y)])
    np.testing.assert_allclose(found, np.unique(100 * trials.loc[front, "test_accuracy"]))
    trials.loc[np.flatnonzero(front)[0], "test_accuracy"] = np.nan
    again = front_figure(trials, two, x="size_mb", y="accuracy")
    assert not any("Test" in label for label in buttons(again))


def test_another_view_has_its_own_front_among_the_same_members(figure, trials, objectives):
    data, _ = buttons(figure)["Size against latency"]
    names = [trace.name for trace in figure.data]
    shown = {name: np.isfinite(data["x"][names.index(name)]) for name in names[-2:]}
    assert (shown["Pareto front"] != shown["on the front by another objective"]).all()
    members = trials[non_dominated(trials, objectives)]
    leading = non_dominated(members, {"latency_ms": "minimize", "size_mb": "minimize"})
    x = data["x"][names.index("Pareto front")]
    assert sorted(x[np.isfinite(x)]) == sorted(members.loc[leading, "latency_ms"])


def test_one_pair_needs_no_menu(trials):
    two = {"accuracy": "maximize", "size_mb": "minimize"}
    bare = trials.drop(columns=["latency_ms", "macs"])
    assert not front_figure(bare, two, x="size_mb", y="accuracy").layout.updatemenus


def test_a_recipe_is_text_not_markup(trials, objectives):
    trials.loc[3, "recipe"] = "<script>alert(1)</script>"
    assert "<script" not in json.dumps(
        front_figure(trials, objectives, x="size_mb", y="accuracy").to_dict(), default=list
    )


def test_hypervolume_rises_in_steps_over_the_trials():
    (line,) = hypervolume_figure([0.0, 1.0, 1.5]).data
    assert list(line.x) == [1, 2, 3] and list(line.y) == [0.0, 1.0, 1.5] and line.line.shape == "hv"


def test_the_page_needs_no_network(figure, tmp_path):
    write_html(figure, tmp_path / "front.html")
    page = (tmp_path / "front.html").read_text(encoding="utf-8")
    assert "<script src=" not in page and "Plotly.newPlot" in page and len(page) > 1_000_000


@pytest.mark.parametrize("x", ["size_mb", "latency_ms"])
def test_the_png_is_of_the_stated_size(trials, objectives, tmp_path, x):
    front_png(trials, objectives, x, "accuracy", tmp_path / "front.png", TEACHERS)
    data = (tmp_path / "front.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", data[16:24]) == (1200, 750)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_searches_of_few_trials_can_be_drawn(trials, objectives, tmp_path, count):
    few = trials.head(count)
    front_figure(few, objectives, x="latency_ms", y="accuracy", teachers=TEACHERS)
    front_png(few, objectives, "latency_ms", "accuracy", tmp_path / "front.png")
    front_png(few, objectives, "latency_ms", "size_mb", tmp_path / "front.png")
    assert (tmp_path / "front.png").stat().st_size > 1_000
