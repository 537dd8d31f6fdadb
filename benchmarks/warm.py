"""A search of kdsearch's whose trials are timed: `python -m benchmarks.warm` answers `trials`."""

from __future__ import annotations

import json
import time
from typing import Any

import kdsearch
from benchmarks.child import asked
from benchmarks.clock import Clock
from benchmarks.plain import BATCH, SEED, VALIDATION
from kdsearch.tune.ledger import Ledger, Record

SPACE: dict[str, Any] = {
    "name": "overhead",
    "data": {"source": "digits", "batch_size": BATCH, "validation": VALIDATION},
    "student": {"name": "convnet", "width": {"int": [4, 16], "step": 4}, "depth": 2},
    "distill": {"losses": {"ce": {}}},
    "optim": {"name": "sgd", "lr": {"float": [0.01, 0.3], "log": True}, "epochs": 1},
    "objectives": {"accuracy": "maximize", "parameters": "minimize"},
    "search": {"sampler": "random", "seed": SEED, "baselines": False, "concurrent": 1},
    "tracking": {"uri": "sqlite:///mlflow.db"},
}


class Configs(Clock):
    """Notes what each trial was as well."""

    def __init__(self) -> None:
        super().__init__()
        self.configs: list[dict[str, Any]] = []

    def look(self, ledger: Ledger, record: Record) -> None:
        """Keep what the plain loop needs to train the same."""
        student = record.config["student"]
        lr = record.config["optim"]["lr"]
        self.configs.append({"lr": lr, "width": student["width"], "depth": student["depth"]})


def main() -> None:
    question, out = asked()
    clock = Configs()
    start = time.perf_counter()
    found = kdsearch.search(SPACE, trials=question["trials"], display=clock)
    end = time.perf_counter()
    assert found.outcome is not None and found.outcome.tracked
    answer = {"ended": clock.ended, "configs": clock.configs, "start": start, "end": end}
    out.write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
