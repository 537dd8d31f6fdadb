"""A search of kdsearch's whose trials are timed: `python -m benchmarks.warm` answers `trials`."""

from __future__ import annotations

import json
import time
from typing import Any

import kdsearch
from benchmarks.child import asked
from benchmarks.plain import BATCH, SEED, VALIDATION
from kdsearch.tune.display import Silent
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


class Clock(Silent):
    """Notes when each trial ended, and what it was."""

    def __init__(self) -> None:
        self.ended: list[float] = []
        self.configs: list[dict[str, Any]] = []

    def update(self, ledger: Ledger, planned: int, record: Record) -> None:
        """Called when a trial begins, and when it has ended."""
        if record.state == "running":
            return
        if record.state != "complete":
            raise RuntimeError(f"a trial {record.state}: {record.reason}")
        self.ended.append(time.perf_counter())
        student = record.config["student"]
        lr = record.config["optim"]["lr"]
        self.configs.append({"lr": lr, "width": student["width"], "depth": student["depth"]})


def main() -> None:
    question, out = asked()
    clock = Clock()
    start = time.perf_counter()
    found = kdsearch.search(SPACE, trials=question["trials"], display=clock)
    end = time.perf_counter()
    assert found.outcome is not None and found.outcome.tracked
    answer = {"ended": clock.ended, "configs": clock.configs, "start": start, "end": end}
    out.write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
