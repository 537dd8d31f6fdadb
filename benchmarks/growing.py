"""A search whose trials do next to nothing: `python -m benchmarks.growing` answers `sampler` and `trials`
with when each trial ended, what it was worth, and the memory of every process on the way.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch

import kdsearch
from benchmarks.child import asked
from benchmarks.clock import Clock
from kdsearch.data import Dataset, Images
from kdsearch.tune.ledger import Ledger, Record

#: Trials between two looks at the memory.
EVERY = 50


def few(seed: int = 0) -> Dataset:
    """Eighty images of 1x4x4, for one step and one batch of validation."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (80, 1, 4, 4), generator=draw).to(torch.uint8)
    labels = (images.float().mean((1, 2, 3)) > 127).long()
    return Dataset(Images(images, labels), None, ("dark", "light"))


def space(sampler: str) -> dict[str, Any]:
    """Four dimensions and two objectives. Values that seldom tie: equal ones would all stay on the front."""
    return {
        "name": "growth",
        "data": {"source": "benchmarks.growing:few", "batch_size": 64, "validation": 0.2},
        "student": {"name": "mlp", "hidden": {"choice": [[4], [8], [16]]}},
        "distill": {"losses": {"ce": {"label_smoothing": {"float": [0.0, 0.2]}}}},
        "optim": {
            "name": "sgd",
            "lr": {"float": [0.001, 0.3], "log": True},
            "weight_decay": {"float": [1e-5, 1e-2], "log": True},
            "epochs": 1,
        },
        "objectives": {"nll": "minimize", "parameters": "minimize"},
        "search": {"sampler": sampler, "seed": 0, "baselines": False, "concurrent": 1},
        "tracking": {"uri": "sqlite:///mlflow.db"},
    }


class Growth(Clock):
    """Notes what each trial cost the driver and was worth, and now and then how large the processes are."""

    def __init__(self) -> None:
        super().__init__()
        self.busy: list[float] = []
        self.values: list[list[float]] = []
        self.memory: list[dict[str, float]] = []

    def look(self, ledger: Ledger, record: Record) -> None:
        """Keep the CPU seconds of this thread so far, the objectives, and the memory of every process."""
        self.busy.append(time.thread_time())
        self.values.append([float(record.metrics[name]) for name in ledger.objectives])
        if len(self.ended) % EVERY == 0:
            self.memory.append({"trials": len(self.ended), "MLflow waits": ledger.writer.pending} | sizes())


def sizes() -> dict[str, float]:
    """The peak resident memory, in MB, of this process (`driver`) and of Ray's beneath it, by name."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found = {"driver": _peak(os.getpid())}
    for pid in parents:
        above = pid
        while above not in (0, os.getpid()):
            above = parents.get(above, 0)
        name = _title(pid)
        if above and name:
            found[name] = max(_peak(pid), found.get(name, 0.0))
    return found


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _title(pid: int) -> str:
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""
    names = {"RayTrainWorker": "worker", "Mailbox": "mailbox", "Trial": "trial"}
    return next((short for long, short in names.items() if title.startswith(f"ray::{long}")), "")


def _peak(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), 0.0)


def main() -> None:
    question, out = asked()
    clock = Growth()
    found = kdsearch.search(space(question["sampler"]), trials=question["trials"], display=clock)
    end = time.perf_counter()
    assert found.outcome is not None and found.outcome.tracked
    answer = {
        "ended": clock.ended,
        "busy": clock.busy,
        "values": clock.values,
        "memory": clock.memory,
        "end": end,
    }
    out.write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
