"""How sure a front is, when each of its members was trained with several seeds."""

from __future__ import annotations

from collections.abc import Mapping

import moocore
import numpy as np
import pandas as pd

from kdsearch.errors import InputError
from kdsearch.pareto.front import maximised
from kdsearch.types import Direction

_DRAWS = 10_000
_COVER = 0.95


def resampled_means(
    runs: pd.DataFrame, objectives: Mapping[str, Direction], *, draws: int = _DRAWS, seed: int = 0
) -> dict[str, np.ndarray]:
    """Means[draws, objectives] of each recipe under the bootstrap: its own runs, drawn with replacement.

    Args:
        runs: A row for each run: `uid` (of the recipe), and the objectives.
        objectives: The columns to take means of.
        draws: Bootstrap samples.
        seed: Of the drawing.

    Raises:
        InputError: When a run lacks an objective.

    Few runs make the bootstrap too sure: with n of them its spread is short by the factor √((n-1)/n).
    Efron 1979.
    """
    random = np.random.default_rng(seed)
    means = {}
    for uid, own in runs.groupby("uid", sort=False):
        values = own[list(objectives)].to_numpy(dtype=float)
        if not np.isfinite(values).all():
            raise InputError(f"a run of {uid} has no number for each of {', '.join(objectives)}")
        means[str(uid)] = values[random.integers(len(values), size=(draws, len(values)))].mean(axis=1)
    return means


def front_probability(
    means: Mapping[str, np.ndarray], objectives: Mapping[str, Direction]
) -> dict[str, float]:
    """The share of bootstrap samples in which each recipe is non-dominated among all.

    Args:
        means: Those of `resampled_means`.
        objectives: The direction of each column.
    """
    if not means:
        return {}
    stacked = np.stack(list(means.values()), axis=1)  # [draws, recipes, objectives]
    sets = np.repeat(np.arange(len(stacked)), stacked.shape[1])
    flat = stacked.reshape(-1, stacked.shape[2])
    kept = moocore.is_nondominated_within_sets(
        flat, sets, maximise=maximised(objectives), keep_weakly=True
    ).reshape(stacked.shape[:2])
    return dict(zip(means, kept.mean(axis=0).tolist(), strict=True))


def interval(draws: np.ndarray) -> tuple[float, float]:
    """The middle 95% of `draws`."""
    low, high = np.quantile(draws, [(1 - _COVER) / 2, (1 + _COVER) / 2])
    return float(low), float(high)


def bands(means: Mapping[str, np.ndarray], objectives: Mapping[str, Direction], by: str) -> dict[str, int]:
    """Which recipes the runs can't tell apart in the objective `by`: 1 for the band of the best, then 2, ….

    From the best mean down, a recipe joins the band while the 95% interval of its difference from the best
    of the band holds 0; the first one that is surely worse opens the next band.
    """
    column = list(objectives).index(by)
    sign = -1.0 if objectives[by] == "maximize" else 1.0
    costs = {uid: sign * values[:, column] for uid, values in means.items()}
    found: dict[str, int] = {}
    band, leader = 0, ""
    for uid in sorted(costs, key=lambda uid: float(costs[uid].mean())):
        if not leader or interval(costs[uid] - costs[leader])[0] > 0:
            band, leader = band + 1, uid
        found[uid] = band
    return found
