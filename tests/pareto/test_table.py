"""The front in the terminal, and as CSV and JSON."""

from __future__ import annotations

import io
import json
import math

import pandas as pd
import pytest
from rich.console import Console

from kdsearch.pareto import front_table, to_csv, to_json
from kdsearch.pareto.words import short, tick, title, value


def printed(frame: pd.DataFrame, width: int = 120, **options: object) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(front_table(frame, **options))
    return console.file.getvalue()


@pytest.fixture
def front():
    return pd.DataFrame(
        {
            "parameters": [12_345, 999],
            "macs": [1_234_567, 64.0],
            "energy": [0.25, 0.5],
            "gain": [0.0123, math.nan],
            "accuracy": [0.97642, 0.9],
            "recipe": ["convnet 8×2 ← conv, KD T=4", "mlp [32]"],
            "uid": ["a", "b"],
            "baseline": [False, "labels only"],
            "size_mb": [0.0493, 1.2],
        }
    )


def test_metrics_stand_in_their_order_with_their_units(front):
    text = printed(front, also=["energy"])
    heads = ["Recipe", "Accuracy", "Gain", "Size", "MACs", "Params", "Energy"]
    places = [text.index(head) for head in heads]
    assert {place > text.index("Recipe") - 200 for place in places} == {True}
    row = next(line for line in text.splitlines() if "convnet" in line)
    assert row.split()[-6:] == ["97.64", "+1.23", "0.0493", "1.23M", "12.3k", "0.250"]


def test_a_baseline_is_marked_and_a_missing_value_is_a_dash(front):
    row = next(line for line in printed(front).splitlines() if "mlp" in line)
    assert "mlp [32] (labels only)" in row
    assert row.split()[-5:] == ["90.00", "–", "1.20", "64", "999"]


def test_a_narrow_terminal_folds_recipes_but_no_number(front):
    text = printed(front, width=60)
    assert all(number in text for number in ["97.64", "+1.23", "0.0493", "1.23M", "12.3k", "MACs", "Params"])


def test_columns_of_one_name_only_or_none_are_no_trouble():
    assert "t1" in printed(pd.DataFrame({"uid": ["t1"]}))
    assert "Recipe" in printed(pd.DataFrame())


def test_csv_reads_back_in_full_precision_with_the_columns_in_order(front):
    back = pd.read_csv(io.StringIO(to_csv(front)))
    assert list(back.columns[:5]) == ["uid", "recipe", "baseline", "accuracy", "gain"]
    assert back.columns[-1] == "energy"
    assert back["accuracy"].tolist() == front["accuracy"].tolist()
    assert back["gain"].isna().tolist() == [False, True]


def test_json_reads_back_in_full_precision_with_null_for_what_is_missing(front):
    front.loc[1, "energy"] = math.inf
    first, second = json.loads(to_json(front), parse_constant=pytest.fail)
    assert first["accuracy"] == 0.97642 and first["baseline"] is False
    assert second["gain"] is None and second["energy"] is None and second["parameters"] == 999
    assert "×" in to_json(front)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *[(0, "0"), (512, "512"), (999.6, "1.00k"), (1_234_567, "1.23M"), (999_999, "1.00M"), (4e9, "4.00G")],
        *[(2.5e13, "25.0T"), (123_456, "123k"), (0.1, "0.100"), (0.0493, "0.0493"), (-1500, "-1.50k")],
    ],
)
def test_a_number_is_written_in_three_digits(number, text):
    assert short(number) == text


def test_values_are_written_with_their_unit():
    assert value("accuracy", 0.97642) == "97.64 %"
    assert value("gain", -0.01) == "-1.00 %"
    assert value("latency_ms", 0.1234) == "0.123 ms"
    assert value("macs", math.nan) == "–"
    assert tick(97.25) == "97.25" and tick(2e6) == "2.00M"
    assert [title(name) for name in ("size_mb", "macs", "my_metric")] == ["Size (MB)", "MACs", "My metric"]
