"""What a picture of a front shows in two of its metrics, whichever library draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kdsearch.pareto import words
from kdsearch.pareto.front import non_dominated, points_of
from kdsearch.pareto.marks import baseline_names, members
from kdsearch.types import Direction

_LOG_FROM = 20.0


@dataclass(frozen=True)
class Group:
    """Rows that share a marker: a `name` for the legend, and the rows of the frame."""

    name: str
    rows: pd.DataFrame


@dataclass(frozen=True)
class View:
    """A frame seen in the metrics `x` and `y`; values are as drawn, fractions in percent.

    `front` holds the members that are non-dominated in these two metrics, and `step` (n, 2) the corners of
    the region that they dominate; `apart` holds the members that owe their place to another objective.
    """

    x: str
    y: str
    others: Group
    front: Group
    apart: Group
    baselines: tuple[Group, ...]
    step: np.ndarray
    log_x: bool


def view(trials: pd.DataFrame, objectives: Mapping[str, Direction], x: str, y: str) -> View:
    """How `trials` look in `x` and `y`. Rows without both values are not shown.

    Every baseline has its group, even an empty one.

    Raises:
        ValueError: When `x` and `y` are the same.
    """
    if x == y:
        raise ValueError(f"a front is drawn in two metrics, not '{x}' twice")
    pair: dict[str, Direction] = {name: objectives.get(name, words.direction(name)) for name in (x, y)}
    complete = np.isfinite(points_of(trials, pair)).all(axis=1)
    rows, member = trials[complete], members(trials, objectives).to_numpy()[complete]
    front, leading = rows[member], non_dominated(rows[member], pair)
    names = np.array(baseline_names(rows), dtype=object)
    known = [name for name in dict.fromkeys(baseline_names(trials)) if name]
    return View(
        x=x,
        y=y,
        others=Group("other trials", rows[~member & (names == "")]),
        front=Group("Pareto front", front[leading]),
        apart=Group("on the front by another objective", front[~leading]),
        baselines=tuple(Group(name, rows[names == name]) for name in known),
        step=_step(front[leading], rows, pair),
        log_x=is_wide(drawn(rows, x)),
    )


def drawn(rows: pd.DataFrame, name: str) -> np.ndarray:
    """The values[rows] of a metric as drawn: fractions in percent."""
    values = points_of(rows, {name: "minimize"})[:, 0]
    return values * 100 if words.is_fraction(name) else values


def is_wide(values: np.ndarray) -> bool:
    """Whether values are so far apart that a linear axis would show most of them in one place."""
    return len(values) > 0 and bool(0 < _LOG_FROM * values.min() < values.max())


def _step(front: pd.DataFrame, rows: pd.DataFrame, pair: Mapping[str, Direction]) -> np.ndarray:
    """The line between the members' corners, led on to the worst `x` of all rows."""
    if not len(front):
        return np.empty((0, 2))
    x, y = pair
    signs = np.array([1.0 if direction == "minimize" else -1.0 for direction in pair.values()])
    costs = np.unique(np.column_stack([drawn(front, x), drawn(front, y)]) * signs, axis=0)
    corners = np.column_stack([costs[1:, 0], costs[:-1, 1]])
    line = np.empty((2 * len(costs) - 1, 2))
    line[::2], line[1::2] = costs, corners
    end = [(drawn(rows, x) * signs[0]).max(), costs[-1, 1]]
    step: np.ndarray = np.vstack([line, end]) * signs
    return step
