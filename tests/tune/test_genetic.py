"""The genetic samplers beside Optuna's own: the same suggestions, and the same notes in the study."""

from __future__ import annotations

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from kdsearch.tune import genetic
from kdsearch.tune.journal import OwnJournal

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
NAMES = ["NSGAIISampler", "NSGAIIISampler"]


def suggest(study, trials: int) -> None:
    """Run trials, two of them at a time; of every seven one fails and one is pruned."""
    running = []
    for number in range(trials):
        trial = study.ask()
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_categorical("y", ["a", "b", "c"])
        running.append((trial, [x, (1 - x) ** 2 + (y == "a")]))
        if number % 2:
            for other, values in reversed(running):
                state = {3: "FAIL", 5: "PRUNED"}.get(other.number % 7)
                if state is None:
                    study.tell(other, values)
                else:
                    study.tell(other, state=optuna.trial.TrialState[state])
            running.clear()


def give(study, x: float) -> None:
    """A trial whose params are all given, as a varied suggestion is; it asks no sampler."""
    study.enqueue_trial({"x": x, "y": "b"})
    trial = study.ask()
    frozen = study.get_trials(deepcopy=False)[trial.number]
    study.sampler.get_trial_generation(study, frozen)
    trial.suggest_float("x", 0, 1), trial.suggest_categorical("y", ["a", "b", "c"])
    study.tell(trial, [x, (1 - x) ** 2])


def noted(study):
    trials = [(trial.params, trial.state, trial.system_attrs) for trial in study.trials]
    return trials, study._storage.get_study_system_attrs(study._study_id)


def studied(sampler, storage=None):
    return optuna.create_study(
        study_name="s",
        directions=["minimize"] * 2,
        sampler=sampler,
        storage=storage,
        load_if_exists=True,
    )


@pytest.mark.parametrize("name", NAMES)
def test_suggestions_are_those_of_optunas_own(name):
    theirs = studied(getattr(optuna.samplers, name)(seed=3, population_size=8))
    ours = studied(getattr(genetic, name)(seed=3, population_size=8))
    for study in (theirs, ours):
        suggest(study, 90)
    assert noted(ours) == noted(theirs)
    assert max(trial.system_attrs[f"{name}:generation"] for trial in ours.trials) > 4


@pytest.mark.parametrize("name", NAMES)
def test_a_study_that_optunas_own_began_is_gone_on_with_as_it_would(name, tmp_path):
    studies = []
    for other in (optuna.samplers, genetic):
        file = tmp_path / other.__name__
        begun = JournalStorage(JournalFileBackend(str(file)))
        study = studied(getattr(optuna.samplers, name)(seed=3, population_size=8), begun)
        suggest(study, 30)
        study.ask().suggest_float("x", 0, 1)  # and is killed
        storage = OwnJournal(file) if other is genetic else JournalStorage(JournalFileBackend(str(file)))
        studies.append(studied(getattr(other, name)(seed=4, population_size=8), storage))
        for x in (0.3, 0.7):
            suggest(studies[-1], 15)
            give(studies[-1], x)
    assert noted(studies[1]) == noted(studies[0])
