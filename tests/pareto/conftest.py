"""A made-up search of forty trials, with two baselines and a failed one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

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
