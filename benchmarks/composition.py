"""One run of the composition of Tune with Train, for all benchmarks that look at it."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.child import answer
from benchmarks.report import note, seconds

#: Two at a time, so an even number: with three, one core would idle for the last.
TRIALS = 4


@dataclass(frozen=True)
class Composition:
    """What it took: seconds of wall time a trial, and from the command to the first epoch reported."""

    per_trial: float
    first_epoch: float
    configs: list[dict[str, Any]]


@cache
def composition() -> Composition:
    """Run `benchmarks.naive` once."""
    note(f"  Tune with a TorchTrainer.fit() a trial: {TRIALS} trials, two at a time (minutes)")
    with tempfile.TemporaryDirectory(prefix="kdsearch-bench-") as folder:
        began = time.time()
        said = answer("benchmarks.naive", {"trials": TRIALS}, Path(folder))
    per_trial = (said["end"] - said["start"]) / TRIALS
    first = min(said["reported"]) - began
    note(f"  {seconds(per_trial)} a trial, the first epoch after {seconds(first)}")
    return Composition(per_trial, first, said["configs"])
