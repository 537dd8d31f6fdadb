"""The Pareto front of a search: kept while it runs, measured, tabulated and drawn."""

from __future__ import annotations

from kdsearch.pareto.attainment import attainment
from kdsearch.pareto.chance import bands, front_probability, interval, resampled_means
from kdsearch.pareto.distance import additive_epsilon, igd_plus
from kdsearch.pareto.front import Change, Front, non_dominated
from kdsearch.pareto.indicators import hypervolume, knee, reference_point
from kdsearch.pareto.optimism import Optimism, optimism
from kdsearch.pareto.page import write_html
from kdsearch.pareto.plots import front_figure
from kdsearch.pareto.png import front_png
from kdsearch.pareto.progress import hypervolume_figure, hypervolumes
from kdsearch.pareto.table import front_table, sort_front, to_csv, to_json

__all__ = [
    "Change",
    "Front",
    "Optimism",
    "additive_epsilon",
    "attainment",
    "bands",
    "front_figure",
    "front_png",
    "front_probability",
    "front_table",
    "hypervolume",
    "hypervolume_figure",
    "hypervolumes",
    "igd_plus",
    "interval",
    "knee",
    "non_dominated",
    "optimism",
    "reference_point",
    "resampled_means",
    "sort_front",
    "to_csv",
    "to_json",
    "write_html",
]
