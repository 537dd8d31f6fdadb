"""Numbers that say how good a front is, and which of its members to take."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import moocore
import numpy as np
import pandas as pd

from kdsearch.errors import InputError
from kdsearch.pareto.front import maximised, non_dominated, points_of
from kdsearch.types import Direction

_MARGIN = 0.1


def reference_point(frame: pd.DataFrame, objectives: Mapping[str, Direction]) -> dict[str, float]:
    """A point worse than every row of `frame`: the worst value of each objective, plus 10% of its range.

    Where all values are equal the range is taken as the value itself, or 1 at 0. Fix it once: hypervolumes
    compare only under one reference point.

    Raises:
        InputError: When no row has a number for every objective.
    """
    points = _finite(frame, objectives)
    if not len(points):
        raise InputError("no finished trial to take a reference point from")
    best, worst = points.min(axis=0), points.max(axis=0)
    span = np.where(worst > best, worst - best, np.where(worst == 0, 1.0, np.abs(worst)))
    return dict(zip(objectives, (_signs(objectives) * (worst + _MARGIN * span)).tolist(), strict=True))


def hypervolume(
    frame: pd.DataFrame, objectives: Mapping[str, Direction], reference: Mapping[str, float]
) -> float:
    """The volume that the rows of `frame` dominate up to `reference`, in the product of the units.

    Rows with a missing or infinite value, and rows no better than the reference, add nothing.

    Zitzler and Thiele 1998, by moocore.
    """
    points = _finite(frame, objectives) * _signs(objectives)
    if not len(points):
        return 0.0
    corner = [reference[name] for name in objectives]
    return float(moocore.hypervolume(points, ref=corner, maximise=maximised(objectives)))


def knee(frame: pd.DataFrame, objectives: Mapping[str, Direction]) -> Hashable:
    """The index label of the member where giving up a little of one objective stops buying much of another.

    The non-dominated rows are scaled to [0, 1] in each objective (0 the best, 1 the worst), a hyperplane is
    laid through the best row of each objective, and the row farthest from it towards the ideal point is the
    knee. Where the extremes span no such plane (in three and more objectives one row may be the best of
    two) it is the plane through the unit points. Objectives in which all members are equal play no part.
    Ties, and so fronts of two, go to the better in the first objective.

    Raises:
        InputError: When the front is empty.

    Das 1999, On characterizing the "knee" of the Pareto curve; the plane as in NSGA-III (Deb and Jain 2014).
    """
    members = frame[non_dominated(frame, objectives)]
    if not len(members):
        raise InputError("no finished trial to take the knee of")
    costs = points_of(members, objectives) * _signs(objectives)
    span = costs.max(axis=0) - costs.min(axis=0)
    scaled = (costs - costs.min(axis=0))[:, span > 0] / span[span > 0]
    if not scaled.size:
        return _label(members, 0)
    normal = _plane(scaled[_extremes(scaled)])
    # Rounded so that members on the plane, whose distances differ by rounding alone, tie.
    distance = np.round((1 - scaled @ normal) / np.linalg.norm(normal), 12)
    (farthest,) = np.nonzero(distance == distance.max())
    return _label(members, farthest[costs[farthest, 0].argmin()])


def _extremes(scaled: np.ndarray) -> np.ndarray:
    """Of each objective the row that is its best, and among those the best on the whole."""
    return np.array([np.lexsort((scaled.sum(axis=1), column))[0] for column in scaled.T])


def _plane(extremes: np.ndarray) -> np.ndarray:
    """The normal n[objectives] of the plane x · n = 1 through `extremes`, if it faces the ideal point."""
    ones = np.ones(extremes.shape[1])
    if np.linalg.matrix_rank(extremes) < len(ones):
        return ones
    normal: np.ndarray = np.linalg.solve(extremes, ones)
    return normal if (normal > 0).all() else ones


def _finite(frame: pd.DataFrame, objectives: Mapping[str, Direction]) -> np.ndarray:
    """The costs (rows, objectives) (less is better) of the rows that have a finite value in each."""
    points = points_of(frame, objectives) * _signs(objectives)
    return np.asarray(points[np.isfinite(points).all(axis=1)])


def _signs(objectives: Mapping[str, Direction]) -> np.ndarray:
    return np.where(maximised(objectives), -1.0, 1.0)


def _label(frame: pd.DataFrame, place: int) -> Hashable:
    label: Hashable = frame.index[place]
    return label
