"""Non-dominated sets: one kept while results come in, and one of a whole table.

A point dominates another when it is at least as good in every objective and better in one. Equal points do
not dominate each other, so ties are all kept. A point with a missing, NaN or infinite value is never in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import moocore
import numpy as np
import pandas as pd

from kdsearch.types import Direction


@dataclass(frozen=True)
class Change:
    """What adding a point did: whether it `entered` the front, and the keys that `left` because of it."""

    entered: bool
    left: tuple[str, ...] = ()


class Front:
    """A non-dominated set, kept as points are added.

    Args:
        objectives: The direction of each objective.

    Raises:
        ValueError: When there is none.
    """

    def __init__(self, objectives: Mapping[str, Direction]) -> None:
        if not objectives:
            raise ValueError("a front needs at least one objective")
        self.objectives = dict(objectives)
        self._costs: dict[str, tuple[float, ...]] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """The members, in the order in which they entered."""
        return tuple(self._costs)

    def __contains__(self, key: object) -> bool:
        return key in self._costs

    def __len__(self) -> int:
        return len(self._costs)

    def add(self, key: str, values: Mapping[str, float]) -> Change:
        """Offer a point. Adding a member again changes nothing.

        Raises:
            ValueError: When a member is added again with other values: what it drove out is gone, so only a
                new front can hold the new values.
        """
        cost = tuple(
            -values.get(name, math.nan) if direction == "maximize" else values.get(name, math.nan)
            for name, direction in self.objectives.items()
        )
        if (before := self._costs.get(key)) is not None:
            if before != cost:
                raise ValueError(f"'{key}' is in the front with other values; build the front anew")
            return Change(entered=False)
        if not all(map(math.isfinite, cost)) or any(
            _dominates(member, cost) for member in self._costs.values()
        ):
            return Change(entered=False)
        left = tuple(name for name, member in self._costs.items() if _dominates(cost, member))
        for name in left:
            del self._costs[name]
        self._costs[key] = cost
        return Change(entered=True, left=left)


def non_dominated(frame: pd.DataFrame, objectives: Mapping[str, Direction]) -> pd.Series[bool]:
    """Which rows of `frame` are non-dominated, by its index; columns that it lacks count as missing values.

    Raises:
        ValueError: When there is no objective.

    Kung, Luccio and Preparata 1975, by moocore (López-Ibáñez et al. 2010).
    """
    if not objectives:
        raise ValueError("a front needs at least one objective")
    points = points_of(frame, objectives)
    finite = np.isfinite(points).all(axis=1)
    member = np.zeros(len(points), dtype=bool)
    if finite.any():
        member[finite] = moocore.is_nondominated(
            points[finite], maximise=maximised(objectives), keep_weakly=True
        )
    return pd.Series(member, index=frame.index, name="front", dtype=bool)


def points_of(frame: pd.DataFrame, objectives: Mapping[str, Direction]) -> np.ndarray:
    """The points (rows, objectives) of `frame` as floats; NaN where a value is missing or no number."""
    columns = frame.reindex(columns=list(objectives))
    numbers = columns.apply(pd.to_numeric, errors="coerce")
    return np.asarray(numbers.to_numpy(dtype=float, na_value=np.nan))


def maximised(objectives: Mapping[str, Direction]) -> list[bool]:
    """Of each objective, whether it is maximised."""
    return [direction == "maximize" for direction in objectives.values()]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
