"""The optimism of a search, against areas worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from kdsearch.pareto import optimism

TWO = {"accuracy": "maximize", "size_mb": "minimize"}


def test_the_gap_is_the_area_that_luck_had_added():
    searched = pd.DataFrame({"accuracy": [0.9, 0.7], "size_mb": [3.0, 1.0]})
    confirmed = pd.DataFrame({"accuracy": [0.8, 0.7], "size_mb": [3.0, 1.0]})
    found = optimism(searched, confirmed, TWO, {"accuracy": 0.0, "size_mb": 4.0})
    assert found.searched == pytest.approx(0.9 * 1 + 0.7 * 2)
    assert found.confirmed == pytest.approx(0.8 * 1 + 0.7 * 2)
    assert found.gap == pytest.approx(0.1) and found.share == pytest.approx(0.1 / 2.3)


def test_nothing_found_has_no_optimism():
    nothing = pd.DataFrame(columns=list(TWO))
    assert optimism(nothing, nothing, TWO, {"accuracy": 0.0, "size_mb": 4.0}).share == 0
