"""Optuna's genetic samplers, at a cost that does not grow with the number of trials.

For each suggestion they would go through all trials, to learn which generation is the newest and how many it
has, and once more to gather its parents. Here both are kept. What they suggest, and what the study notes, is
the same: the names of the classes are part of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import BaseGASampler
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from optuna import Study


class _Counting(BaseGASampler):  # type: ignore[misc]
    """Keeps the newest generation, how many of it are complete, and its parents. For one study."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._newest, self._complete = -1, 0
        self._parents: tuple[int, list[FrozenTrial]] = (0, [])

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        """The generation of a trial; one that has none gets the newest, or the next where that is full."""
        key = self._get_generation_key()
        if key in trial.system_attrs:
            return int(trial.system_attrs[key])
        if self._newest < 0:
            self._newest = 0
            for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
                self._count(other)
        assert self.population_size is not None
        generation = self._newest + int(self._complete >= self.population_size)
        study._storage.set_trial_system_attr(trial._trial_id, key, generation)
        return generation

    def _count(self, trial: FrozenTrial) -> None:
        generation = int(trial.system_attrs.get(self._get_generation_key(), -1))
        if generation > self._newest:
            self._newest, self._complete = generation, 0
        self._complete += generation == self._newest

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Count a trial that is complete."""
        super().after_trial(study, trial, state, values)
        if state == TrialState.COMPLETE and self._newest >= 0:
            self._count(trial)

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """The trials from which those of a generation descend."""
        if self._parents[0] == generation:
            return self._parents[1]
        parents = super().get_parent_population(study, generation)
        # Optuna's own returns them in this order from the second time on.
        self._parents = generation, sorted(parents, key=lambda trial: trial.number)
        return list(parents)


class NSGAIISampler(_Counting, optuna.samplers.NSGAIISampler):  # type: ignore[misc]
    """Deb et al. (2002)."""


class NSGAIIISampler(_Counting, optuna.samplers.NSGAIIISampler):  # type: ignore[misc]
    """Deb & Jain (2014)."""
