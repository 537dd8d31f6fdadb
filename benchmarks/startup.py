"""Start-up: from the command to the end of the first trial's first epoch, the teachers being stored."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.child import ROOT, started
from benchmarks.composition import composition
from benchmarks.report import Row, note, seconds

REPEATS = 3
SPEC = ROOT / "search_spaces" / "digits.yaml"


def measure() -> list[Row]:
    """The time to the first epoch."""
    with tempfile.TemporaryDirectory(prefix="kdsearch-bench-") as folder:
        note("  kdsearch teachers")
        with started([*_kdsearch("teachers"), str(SPEC)], Path(folder)):
            pass
        taken = [_first_epoch(Path(folder)) for _ in range(REPEATS)]
    remarks = (
        f"`kdsearch search {SPEC.relative_to(ROOT)} --trials 1`, its trials cut to one epoch so that the "
        f"line which tells of a finished trial tells of its first epoch; median of {REPEATS} in one folder "
        f"({', '.join(map(seconds, taken))}; the first of them also makes MLflow's database). The "
        "composition has no teachers, no preflight and no MLflow"
    )
    return [
        Row(
            "from the command to the first epoch",
            median(taken),
            composition().first_epoch,
            asked="at most 20 s",
            remarks=remarks,
            samples={"kdsearch": taken},
        )
    ]


def _kdsearch(command: str) -> list[str]:
    return [str(Path(sys.executable).with_name("kdsearch")), command]


def _first_epoch(folder: Path) -> float:
    note("  kdsearch search")
    start, taken = time.perf_counter(), None
    with started(
        [*_kdsearch("search"), str(SPEC), "--trials", "1", "--set", "optim.epochs=1"], folder
    ) as said:
        for line in said:
            if line.startswith("[1/"):
                taken = time.perf_counter() - start
                break
    if taken is None:
        raise RuntimeError("the search told of no trial")
    note(f"  first epoch after {seconds(taken)}, the end after {seconds(time.perf_counter() - start)}")
    return taken
