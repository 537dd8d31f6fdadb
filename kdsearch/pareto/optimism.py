"""By how much a front looked better in the search that chose it than it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from kdsearch.pareto.indicators import hypervolume
from kdsearch.types import Direction


@dataclass(frozen=True)
class Optimism:
    """The hypervolume of the same recipes as `searched` and as `confirmed`, up to one reference point."""

    searched: float
    confirmed: float

    @property
    def gap(self) -> float:
        """Searched minus confirmed: above 0 when the search was lucky in what it chose."""
        return self.searched - self.confirmed

    @property
    def share(self) -> float:
        """The gap as a share of the searched hypervolume; 0 when that is 0."""
        return self.gap / self.searched if self.searched else 0.0


def optimism(
    searched: pd.DataFrame,
    confirmed: pd.DataFrame,
    objectives: Mapping[str, Direction],
    reference: Mapping[str, float],
) -> Optimism:
    """The optimism of a search: its figures of some recipes, against those of fresh runs of the same."""
    return Optimism(*(hypervolume(frame, objectives, reference) for frame in (searched, confirmed)))
