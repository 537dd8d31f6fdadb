"""How metrics are called and written."""

from __future__ import annotations

import pytest

from kdsearch.pareto import words


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("latency_ms", "Latency (ms)"),
        ("accuracy", "Accuracy (%)"),
        ("test_accuracy", "Test accuracy (%)"),
        ("test_macro_f1", "Test macro F1 (%)"),
        ("test_nll", "Test NLL (nats)"),
        ("test_teacher_kl", "Test KL from teachers (nats)"),
        ("gain", "Gain (%)"),
        ("tail_ms", "Tail ms"),
        ("test_mine", "Test mine"),
    ],
)
def test_a_metric_is_titled_by_its_objective(name, title):
    assert words.title(name) == title


def test_what_the_test_split_tells_is_written_and_directed_as_the_figure_is():
    assert words.value("test_balanced_accuracy", 0.91234) == "91.23 %"
    assert words.value("test_nll", 0.25) == "0.250 nats"
    assert words.direction("test_balanced_accuracy") == "maximize"
    assert words.direction("test_calibration_error") == "minimize"
