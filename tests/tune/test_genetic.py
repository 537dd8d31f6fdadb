"""The genetic samplers beside Optuna's own: the same suggestions, and the same notes in the study."""

from __future__ import annotations

import optuna
import pytest

from kdsearch.tune import genetic

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
def test_a_study_that_optunas_own_began_is_gone_on_with_as_it_would(name):
    studies = []
    for other in (optuna.samplers, genetic):
        storage = optuna.storages.InMemoryStorage()
        suggest(studied(getattr(optuna.samplers, name)(seed=3, population_size=8), storage), 30)
        studies.append(studied(getattr(other, name)(seed=4, population_size=8), storage))
        suggest(studies[-1], 30)
    assert noted(studies[1]) == noted(studies[0])
