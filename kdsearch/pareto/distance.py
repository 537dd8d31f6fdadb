"""How far one front is from another: IGD+ and the additive epsilon.

Both mix the objectives, so each is divided by its range over the reference front (by 1 where it has none).
"""

from __future__ import annotations

from collections.abc import Mapping

import moocore
import numpy as np
import pandas as pd

from kdsearch.errors import InputError
from kdsearch.pareto.front import maximised, points_of
from kdsearch.types import Direction


def igd_plus(front: pd.DataFrame, reference: pd.DataFrame, objectives: Mapping[str, Direction]) -> float:
    """How far, on average, `front` falls short of each row of `reference`: 0 when it reaches all of them.

    In ranges of the reference front.

    Raises:
        InputError: When either has no row with a number for each objective.

    Ishibuchi et al. 2015, by moocore.
    """
    points, goal = _scaled(front, reference, objectives)
    return float(moocore.igd_plus(points, ref=goal, maximise=maximised(objectives)))


def additive_epsilon(
    front: pd.DataFrame, reference: pd.DataFrame, objectives: Mapping[str, Direction]
) -> float:
    """The least by which all of `front` must improve in every objective to cover all of `reference`.

    In ranges of the reference front; negative where `front` is better throughout.

    Raises:
        InputError: When either has no row with a number for each objective.

    Zitzler et al. 2003, by moocore.
    """
    points, goal = _scaled(front, reference, objectives)
    return float(moocore.epsilon_additive(points, ref=goal, maximise=maximised(objectives)))


def _scaled(
    front: pd.DataFrame, reference: pd.DataFrame, objectives: Mapping[str, Direction]
) -> tuple[np.ndarray, np.ndarray]:
    points, goal = points_of(front, objectives), points_of(reference, objectives)
    points, goal = (each[np.isfinite(each).all(axis=1)] for each in (points, goal))
    if not len(points) or not len(goal):
        raise InputError("no finished trial to compare fronts by")
    span = np.ptp(goal, axis=0)
    span[span == 0] = 1.0
    return points / span, goal / span
