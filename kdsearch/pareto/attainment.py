"""What searches repeated with other seeds attain: the front that a share of them reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import moocore
import numpy as np
import pandas as pd

from kdsearch.errors import InputError
from kdsearch.pareto.front import maximised, points_of
from kdsearch.types import Direction


def attainment(
    fronts: Sequence[pd.DataFrame], objectives: Mapping[str, Direction], share: float
) -> pd.DataFrame:
    """The best points that at least `share` of `fronts` attain: dominate, or equal.

    Args:
        fronts: One a repetition; rows without a number for each objective count for nothing.
        objectives: Two or three, with their directions.
        share: In (0, 1]: 0.5 gives the median front, 1 what every repetition reaches.

    Returns:
        A column for each objective, a row for each corner of the surface.

    Raises:
        InputError: When there are more than three objectives, or no front has a point.

    Grunert da Fonseca, Fonseca and Hall 2001; Fonseca et al. 2011, by moocore.
    """
    if not 2 <= len(objectives) <= 3:
        raise InputError(f"attainment takes two or three objectives, not {len(objectives)}")
    signs = np.where(maximised(objectives), -1.0, 1.0)
    sets = [points_of(front, objectives) * signs for front in fronts]
    sets = [points[np.isfinite(points).all(axis=1)] for points in sets]
    if not any(map(len, sets)):
        raise InputError("no finished trial to take an attainment of")
    empty = sum(not len(points) for points in sets)
    needed = int(np.ceil(share * len(sets) - 1e-9))
    if needed > len(sets) - empty:
        return pd.DataFrame(columns=list(objectives), dtype=float)
    filled = [points for points in sets if len(points)]
    owner = np.repeat(np.arange(len(filled)), [len(points) for points in filled])
    percentile = 100.0 * needed / len(filled)
    surface = moocore.eaf(np.vstack(filled), owner, percentiles=[percentile])[:, :-1]
    return pd.DataFrame(surface * signs, columns=list(objectives))
