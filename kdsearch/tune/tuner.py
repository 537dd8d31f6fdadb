"""Ray Tune's tuner without what a search does not use: of a trial that has ended, it keeps nothing.

Tune would keep every trial to the end, some 20 kB each, and look through all of them several times for each.
What became of them is in the ledger, and from its files a search is resumed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from kdsearch.tune.slots import HEAD
from kdsearch.tune.trial import Trial

#: A trial actor only waits, and needs no CPU: the worker groups may hold them all. As Tune accepts no request
#: for nothing at all, it takes a sliver of a resource that every head node has.
_RESOURCES = {"CPU": 0, HEAD: 0.001}
#: How often the actor of a trial may die before the trial is given up.
_ACTORS = 10


def lean_tuner(searcher: Searcher, folder: Path) -> tune.Tuner:
    """The tuner of a search in `folder`, whose searcher says when there are no more trials."""
    return tune.Tuner(
        tune.with_resources(Trial, _RESOURCES),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=_InOrder(),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=_uid,
            trial_name_creator=_uid,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder.absolute()),
            verbose=0,
            callbacks=[_NoProgress()],
            failure_config=tune.FailureConfig(max_failures=_ACTORS),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )


def _uid(trial: Any) -> str:
    return str(trial.config["uid"])


class _InOrder(FIFOScheduler):  # type: ignore[misc]
    """Lets each trial keep the actor that is started for it.

    Tune would give it one that has become free, and end the one that is starting. Where trials are shorter
    than the start of an actor, only the first actor would ever be up.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """No preference: trials run in the order in which they come."""

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Let Tune forget the trials that ended before this one."""
        trials = tune_controller.get_trials()
        trials[:] = [other for other in trials if not other.is_finished()]
        tune_controller._stopped_trials.clear()
        tune_controller._trials_to_cache.clear()


class _NoProgress(TrialProgressCallback):  # type: ignore[misc]
    """In the place of Tune's own, which keeps every trial and puts each result into words, printed or not."""

    def on_trial_result(self, *args: Any, **kwargs: Any) -> None:
        """Print nothing."""

    def on_trial_error(self, *args: Any, **kwargs: Any) -> None:
        """Print nothing."""

    def on_trial_complete(self, *args: Any, **kwargs: Any) -> None:
        """Print nothing."""
