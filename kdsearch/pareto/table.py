"""The front as a table: for the terminal, and as CSV and JSON.

The columns of the frame are `uid, recipe, state, baseline, front`, then metrics, any of which may be absent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from kdsearch.pareto import words
from kdsearch.pareto.marks import baseline_names
from kdsearch.types import Direction

METRICS = ("accuracy", "test_accuracy", "gain", "latency_ms", "size_mb", "macs", "parameters")
_HEADS = {
    "accuracy": "Accuracy\n%",
    "test_accuracy": "Test\n%",
    "gain": "Gain\npoints",
    "latency_ms": "Latency\nms",
    "size_mb": "Size\nMB",
    "parameters": "Params",
}
_LEADING = ("uid", "recipe", "state", "baseline", "front")


def sort_front(front: pd.DataFrame, objectives: Mapping[str, Direction]) -> pd.DataFrame:
    """`front` with its best row first, by the first of the objectives."""
    name, direction = next(iter(objectives.items()))
    return front.sort_values(name, ascending=direction == "minimize") if name in front else front


def front_table(frame: pd.DataFrame, *, also: Collection[str] = (), caption: str | None = None) -> Table:
    """A rich table of `frame`, row by row: the recipe, then its metrics, those `also` named last.

    Accuracies are in percent, the gain in percentage points; baselines are named after their recipe.
    """
    columns = [name for name in dict.fromkeys([*METRICS, *also]) if name in frame.columns]
    table = Table(
        box=SIMPLE_HEAD, caption=caption, caption_justify="left", header_style="bold", collapse_padding=True
    )
    table.add_column("Recipe", overflow="fold")
    for name in columns:
        # In a narrow terminal the recipe is folded, never a number.
        table.add_column(_HEADS.get(name) or words.title(name), justify="right", no_wrap=True)
    for (_, row), baseline in zip(frame.iterrows(), baseline_names(frame), strict=True):
        recipe = Text(str(row.get("recipe", row.get("uid", ""))))
        if baseline not in recipe.plain:
            recipe.append(f" ({baseline})", style="dim")
        numbers = pd.to_numeric(row.reindex(columns), errors="coerce").astype(float)
        table.add_row(recipe, *(words.value(name, numbers[name], unit=False) for name in columns))
    return table


def to_csv(frame: pd.DataFrame) -> str:
    """`frame` as CSV with a header, values in full precision, missing ones empty."""
    return str(_ordered(frame).to_csv(index=False, lineterminator="\n"))


def to_json(frame: pd.DataFrame) -> str:
    """`frame` as a JSON array of an object per row, values in full precision, missing ones null."""
    rows = _ordered(frame).replace([math.inf, -math.inf], math.nan).astype(object)
    records = rows.where(rows.notna(), None).to_dict("records")
    return json.dumps(records, indent=2, ensure_ascii=False, default=str) + "\n"


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    first = [name for name in (*_LEADING, *METRICS) if name in frame.columns]
    return frame[[*first, *(name for name in frame.columns if name not in first)]]
