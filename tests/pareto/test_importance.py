"""Importances, on a study whose objectives are known functions of its dimensions."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from kdsearch.pareto.importance import importance_figure, importances

TWO = {"accuracy": "maximize", "size_mb": "minimize"}


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0)
    )
    for _ in range(200):
        trial = study.ask()
        lr = trial.suggest_float("optim.lr", 0, 1)
        idle = trial.suggest_float("distill.losses.kd.weight", 0, 1)
        width = trial.suggest_int("student.width", 1, 8)
        if trial.suggest_categorical("distill.losses.hint.weight", [0.0, 1.0]):
            trial.suggest_float("distill.losses.hint.match.student1", 0, 1)
        study.tell(trial, [1 - (lr - 0.3) ** 2 + 1e-6 * idle, float(width)])
    return study


def test_the_dimension_that_decides_an_objective_comes_first(study):
    shares = importances(study, TWO)
    assert next(iter(shares["accuracy"])) == "optim.lr" and shares["accuracy"]["optim.lr"] > 0.7
    assert list(shares["accuracy"].values()) == sorted(shares["accuracy"].values(), reverse=True)
    assert sum(shares["accuracy"].values()) == pytest.approx(1)


def test_what_is_best_decides_not_what_is_worst(study):
    """More is better here: the weight tells who comes first, the learning rate only who comes last."""
    turned = optuna.create_study(directions=["maximize", "minimize"])
    for trial in study.trials:
        lr, width = trial.params["optim.lr"], trial.params["student.width"]
        weight = trial.params["distill.losses.kd.weight"]
        value = 1 + weight if weight > 0.7 else -lr
        turned.add_trial(
            optuna.trial.create_trial(
                params=trial.params, distributions=trial.distributions, values=[value, float(width)]
            )
        )
    shares = importances(turned, TWO)["accuracy"]
    assert shares["distill.losses.kd.weight"] > 0.8


def test_a_cost_is_shared_out_among_the_dimensions_of_the_student_alone(study):
    assert importances(study, TWO)["size_mb"] == {"student.width": 1.0}


def test_few_trials_tell_nothing():
    study = optuna.create_study(directions=["maximize", "minimize"])
    assert importances(study, TWO) == {}


def test_the_bars_stand_with_the_largest_on_top(study):
    figure = importance_figure(importances(study, TWO))
    assert figure.data[0].y[-1] == "optim.lr"
    assert np.all(np.diff(figure.data[0].x) >= 0)
