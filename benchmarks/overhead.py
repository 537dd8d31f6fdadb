"""Overhead a trial, warm: one epoch on digits in a search, less the time that the training takes alone."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.child import answer
from benchmarks.composition import TRIALS, composition
from benchmarks.report import Row, note, seconds

#: Trials of a search, those of them that warm it up, and how often it is run.
SEARCHED, WARMUP, SEARCHES = 60, 5, 3


def measure() -> list[Row]:
    """The wall time and the overhead of a trial."""
    searches = [_search() for _ in range(SEARCHES)]
    walls = [wall for wall, _, _ in searches]
    trainings = [training for _, training, _ in searches]
    single = [each for _, _, every in searches for each in every]
    overheads = [wall - training for wall, training in zip(walls, trainings, strict=True)]
    other = composition()
    training = mean(_training(other.configs))
    about = (
        f"median of {SEARCHES} searches of {SEARCHED} trials, one at a time, after the first {WARMUP}, their "
        f"MLflow on SQLite; the composition ran {TRIALS} trials, two at a time, Ray already started"
    )
    return [
        Row(
            "wall time a trial, one epoch on digits",
            median(walls),
            other.per_trial,
            remarks=f"{about}; the median trial of kdsearch's took {seconds(median(single))}",
            samples={"kdsearch": walls, "trials": single, "other": [other.per_trial]},
        ),
        Row(
            "overhead a trial",
            median(overheads),
            other.per_trial - training,
            asked="at most 0.15 s, and 1/100",
            remarks=f"the wall time less that of the same training in one plain PyTorch process, with one "
            f"thread: {seconds(median(trainings))}",
            samples={"kdsearch": overheads, "training": trainings, "other training": [training]},
        ),
    ]


def _search() -> tuple[float, float, list[float]]:
    """Mean wall time of a trial, mean time of its training, and the wall time of every trial."""
    note(f"  kdsearch: {SEARCHED} trials, one at a time")
    with tempfile.TemporaryDirectory(prefix="kdsearch-bench-") as folder:
        said = answer("benchmarks.warm", {"trials": SEARCHED}, Path(folder))
    each = [after - before for before, after in pairwise(said["ended"][WARMUP - 1 :])]
    training = mean(_training(said["configs"][WARMUP:]))
    rest = said["end"] - said["ended"][-1]
    note(f"  {seconds(mean(each))} a trial, {seconds(training)} of it training; {seconds(rest)} to wind up")
    return mean(each), training, each


def _training(configs: list[dict[str, Any]]) -> list[float]:
    """The seconds that the same training takes in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="kdsearch-bench-") as folder:
        taken: list[float] = answer("benchmarks.plain", configs, Path(folder))
    return taken
