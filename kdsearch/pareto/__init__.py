"""The Pareto front of a search: kept while it runs, measured, tabulated and drawn."""

from __future__ import annotations

from kdsearch.pareto.front import Change, Direction, Front, non_dominated
from kdsearch.pareto.indicators import hypervolume, knee, reference_point
from kdsearch.pareto.plots import front_figure, hypervolume_figure, write_html
from kdsearch.pareto.png import front_png
from kdsearch.pareto.table import front_table, sort_front, to_csv, to_json

__all__ = [
    "Change",
    "Direction",
    "Front",
    "front_figure",
    "front_png",
    "front_table",
    "hypervolume",
    "hypervolume_figure",
    "knee",
    "non_dominated",
    "reference_point",
    "sort_front",
    "to_csv",
    "to_json",
    "write_html",
]
