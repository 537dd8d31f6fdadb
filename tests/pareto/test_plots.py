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
    drawn = [*by_name["Pareto front"].x, *by_name["on the front by another objective"].x]
    assert sorted(drawn) == sorted(trials.loc[non_dominated(trials, objectives), "size_mb"])


def test_teachers_are_levels_where_the_axis_is_accuracy(figure, trials, objectives):
    assert [shape.y0 for shape in figure.layout.shapes] == pytest.approx([98.6, 97.2])
    assert [note.text for note in figure.layout.annotations] == [
        "teacher conv 98.60 %",
        "teacher mlp 97.20 %",
    ]
    other = front_figure(trials, objectives, x="size_mb", y="latency_ms", teachers=TEACHERS)
    assert not other.layout.shapes


def test_the_menu_offers_each_pair_of_objectives_and_redraws_every_trace(figure):
    (menu,) = figure.layout.updatemenus
    names = ["Accuracy against size", "Accuracy against latency", "Size against latency"]
    assert sorted(button.label for button in menu.buttons) == sorted(names)
    for button in menu.buttons:
        data, layout = button.args
        assert len(data["x"]) == len(data["y"]) == len(data["hovertext"]) == len(figure.data)
        assert bool(layout["shapes"]) == button.label.startswith("Accuracy")
    np.testing.assert_array_equal(menu.buttons[0].args[0]["x"][1], figure.data[1].x)


def test_two_objectives_need_no_menu(trials):
    two = {"accuracy": "maximize", "size_mb": "minimize"}
    figure = front_figure(trials, two, x="size_mb", y="accuracy")
    assert not figure.layout.updatemenus and figure.layout.xaxis.type == "log"


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
