"""Figures rehearsed before anything is trained."""

from __future__ import annotations

import sys

import pytest

from kdsearch.measure import figure, rehearse

SHAPE, CLASSES = (1, 4, 4), ("a", "b", "c")


@pytest.fixture
def users_module(tmp_path, monkeypatch):
    (tmp_path / "users_figures.py").write_text(
        "def right(logits, labels):\n"
        "    return logits.argmax(1) == labels\n"
        "def summed(predict, images, labels):\n"
        "    return 'many'\n"
        "def fragile(logits, labels):\n"
        "    raise ZeroDivisionError\n"
        "def mean(logits, labels):\n"
        "    return logits.mean()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "users_figures"
    sys.modules.pop("users_figures", None)


def refused(*names):
    return dict(rehearse(map(figure, names), SHAPE, CLASSES, [{"name": "mlp"}], [{}], ()))


@pytest.mark.parametrize("name", ["right", "summed"])
def test_a_figure_that_returns_no_number_is_refused(users_module, name):
    found = refused(f"{users_module}:{name}")
    assert f"'{users_module}:{name}' must return a number" in found[name]


def test_a_figure_that_cannot_take_made_up_predictions_is_left_to_the_real_ones(users_module):
    assert not refused(f"{users_module}:fragile", f"{users_module}:mean", "accuracy")
