"""A made-up search of forty trials, with two baselines and a failed one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kdsearch.pareto import non_dominated
from kdsearch.pareto.album import Album

OBJECTIVES = {"accuracy": "maximize", "latency_ms": "minimize", "size_mb": "minimize"}


@pytest.fixture
def objectives():
    return dict(OBJECTIVES)


@pytest.fixture
def trials():
    random, count = np.random.default_rng(0), 40
    size = np.exp(random.uniform(np.log(0.004), np.log(0.4), count))
    accuracy = 0.985 - 0.036 * np.sqrt(0.004 / size) - random.exponential(0.012, count)
    frame = pd.DataFrame(
        {
            "macs": size * 8e6,
            "uid": [f"t{number:03}" for number in range(count)],
            "recipe": [f"convnet {number} ← conv, KD T=4" for number in range(count)],
            "state": "complete",
            "baseline": pd.Series([None] * count, dtype=object),
            "accuracy": accuracy,
            "size_mb": size,
            "latency_ms": 0.05 + 0.3 * np.sqrt(size) + random.normal(0, 0.01, count),
            "gain": accuracy - accuracy[0],
        }
    )
    frame.loc[0, "baseline"] = "labels only"
    frame.loc[1, "baseline"] = "Hinton KD"
    frame.loc[2, ["accuracy", "gain"]] = np.nan
    frame.loc[2, "state"] = "failed"
    return frame


@pytest.fixture
def configs():
    """A config for each of the forty trials: alone, one teacher, two, hints of one teacher or of two."""

    def config(number: int) -> dict:
        width = 2 + number % 5
        members = [[], ["conv"], ["conv", "mlp"]][number % 3]
        losses = {"ce": {"name": "ce", "weight": 0.1 + 0.02 * number}}
        if members:
            losses["kd"] = {"name": "kd", "weight": 0.9, "temperature": 1.0 + number % 7}
        if number % 6 == 1:
            pairs = [["stage1", "stage2"], ["stage2", "stage3"]]
            losses["hint"] = {"name": "hint", "weight": 10.0, "match": {"teacher": "conv", "pairs": pairs}}
        if number % 6 == 2:
            losses["kd"]["weight"] = {"linear": [1.0, 0.1], "until": 0.5}
            both = [{"teacher": "conv", "pairs": [["stage1", "stage1"]]}, {"teacher": "mlp", "pairs": "all"}]
            losses["hint"] = {"name": "hint", "weight": 1.0, "match": both}
        combine = {"name": "weighted", "weights": {"conv": 0.3, "mlp": 0.7}}
        use = {
            "members": members,
            "combine": combine if len(members) > 1 else {"name": "mean"},
            "dropout": 0.0,
        }
        return {
            "student": {"name": "convnet", "width": width, "depth": 2},
            "distill": {"teachers": use, "losses": losses},
            "optim": {"name": "sgd", "lr": 0.01 * (1 + number % 9), "epochs": 3},
        }

    return [config(number) for number in range(40)]


@pytest.fixture
def album(trials, objectives, configs):
    """All that the report of that search needs."""
    front = non_dominated(trials, objectives)
    curve = [[{"loss": 1.0 / epoch, "accuracy": 0.3 * epoch} for epoch in (1, 2, 3)]] * 40
    whole = trials.assign(
        front=front,
        reason=["" if n != 2 else "its worker died" for n in range(40)],
        number=range(40),
        config=pd.Series(configs, dtype=object),
        curve=pd.Series(curve, dtype=object),
        test_accuracy=trials["accuracy"] - 0.01,
    )
    shares = {"accuracy": {"optim.lr": 0.7, "student.width": 0.29, "distill.losses.ce.weight": 0.01}}
    return Album(
        name="made up",
        state="complete",
        objectives=objectives,
        reference={"accuracy": 0.0, "latency_ms": 1.0, "size_mb": 1.0},
        trials=whole,
        teachers={"conv": 0.986, "mlp": 0.972},
        importances=shares | {"size_mb": {"student.width": 1.0}},
    )
