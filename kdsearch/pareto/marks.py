"""Reading the marks of a frame of trials: which rows are members of the front, which are baselines.

Marks are booleans in a frame made here, and text (`true`, the name of a baseline) in one read back from tags.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from kdsearch.pareto.front import non_dominated
from kdsearch.types import Direction

_NO = {"", "false", "none", "nan", "<na>", "0", "0.0"}
_YES = {"true", "1", "1.0"}


def members(frame: pd.DataFrame, objectives: Mapping[str, Direction]) -> pd.Series[bool]:
    """Which rows are in the front: as the column `front` says, else as their values say."""
    if "front" not in frame.columns:
        return non_dominated(frame, objectives)
    return frame["front"].map(lambda mark: str(mark).lower() not in _NO).astype(bool)


def baseline_names(frame: pd.DataFrame) -> list[str]:
    """The name of each row's baseline: empty for those that are none, `baseline` for one without a name."""
    if "baseline" not in frame.columns:
        return [""] * len(frame)
    marks = [str(mark) for mark in frame["baseline"]]
    return ["" if m.lower() in _NO else "baseline" if m.lower() in _YES else m for m in marks]
