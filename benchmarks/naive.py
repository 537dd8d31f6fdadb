"""The documented composition of Ray Tune with Ray Train: a function trainable that calls
`TorchTrainer.fit()` for each trial, two trials at a time.

`python -m benchmarks.naive` answers `trials` with when each of them reported its epoch.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import ray
from ray import train, tune
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.search.optuna import OptunaSearch

from benchmarks.child import asked

STORAGE = str(Path("ray").absolute())


def train_loop(config: dict[str, Any]) -> None:
    import torch

    from benchmarks import plain

    torch.set_num_threads(1)
    train.report(plain.train(config, plain.normalised(plain.digits())))


def trial(config: dict[str, Any]) -> None:
    TorchTrainer(
        train_loop,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(
            name=tune.get_context().get_trial_id(), storage_path=STORAGE, callbacks=[TuneReportCallback()]
        ),
    ).fit()


def space(trial: Any) -> dict[str, Any]:
    trial.suggest_int("width", 4, 16, step=4)
    trial.suggest_float("lr", 0.01, 0.3, log=True)
    return {"depth": 2}


class Clock(tune.Callback):  # type: ignore[misc]
    """Notes when the driver heard of each trial, by the wall clock."""

    def __init__(self) -> None:
        self.reported: list[float] = []
        self.configs: list[dict[str, Any]] = []

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        self.reported.append(time.time())
        self.configs.append({key: trial.config[key] for key in ("width", "lr", "depth")})


def main() -> None:
    question, out = asked()
    clock = Clock()
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    start = time.time()
    results = tune.Tuner(
        tune.with_resources(trial, {"CPU": 0.01}),
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(space, metric=["accuracy", "parameters"], mode=["max", "min"], seed=0),
            num_samples=question["trials"],
            max_concurrent_trials=2,
        ),
        run_config=tune.RunConfig(storage_path=STORAGE, name="naive", verbose=0, callbacks=[clock]),
    ).fit()
    end = time.time()
    if results.num_errors:
        raise RuntimeError(f"{results.num_errors} trials failed: {results.errors}")
    answer = {"start": start, "end": end, "reported": clock.reported, "configs": clock.configs}
    out.write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
