"""What `compute: {compile: true}` saves of a student's step, and what compiling takes.

`python -m benchmarks.compiling` prints the table and writes benchmarks/COMPILING.md and compiling.json;
`--rounds N` (15) says how often each is run.
"""

from __future__ import annotations

import copy
import math
import os
import tempfile
import time
from statistics import median
from typing import Any

import torch

from benchmarks import report
from benchmarks.report import machine, note, rounds_of, save
from benchmarks.share import BATCH, SHAPE, STEPS, ours
from benchmarks.step import CLASSES
from kdsearch import models

COMMAND, ROUNDS = "python -m benchmarks.compiling", 15
STUDENTS: dict[str, dict[str, Any]] = {
    "convnet, width 8": {"name": "convnet", "width": 8, "depth": 3},
    "convnet, width 32": {"name": "convnet", "width": 32, "depth": 3},
    "resnet8": {"name": "resnet", "depth": 8},
    "resnet20": {"name": "resnet", "depth": 20},
    "wrn10x1": {"name": "wrn", "depth": 10, "width": 1},
}

Found = dict[str, Any]


def measure(student: dict[str, Any], rounds: int) -> Found:
    """Seconds of a step as it is and compiled, in turns, and those of the epoch in which it is compiled."""
    model = models.build(student, SHAPE, CLASSES, seed=0)
    models.lay_out(model, SHAPE)
    plain, fast = ours(copy.deepcopy(model), student), ours(copy.deepcopy(model), student, compile=True)
    plain()
    with tempfile.TemporaryDirectory(prefix="kdsearch-bench-") as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # empty: nothing of an earlier run is found
        start = time.perf_counter()
        fast()
        compiling = time.perf_counter() - start
    found: dict[str, list[float]] = {"plain": [], "compiled": []}
    sides = {"plain": plain, "compiled": fast}
    for turn in range(rounds):
        for side in sides if turn % 2 else reversed(sides):
            start = time.thread_time()
            sides[side]()
            found[side].append((time.thread_time() - start) / STEPS)
    return {"compiling": compiling, **found}


def page(found: dict[str, Found], rounds: int) -> str:
    """The table, with what it was taken on."""
    lines = ["| student | step | compiled | ratio | compiling | paid after |", "|---|--:|--:|--:|--:|--:|"]
    for name, each in found.items():
        plain, fast = median(each["plain"]), median(each["compiled"])
        ratio = median(one / other for one, other in zip(each["compiled"], each["plain"], strict=True))
        saved = plain * (1 - ratio)
        paid = f"{math.ceil(each['compiling'] / saved):,} steps" if saved > 0 else "never"
        cells = [name, f"{1e3 * plain:.3g} ms", f"{1e3 * fast:.3g} ms", f"{ratio:.2f}"]
        cells += [f"{each['compiling']:.0f} s", paid]
        lines.append(f"| {' | '.join(cells)} |")
    about = (
        f"Batches of {BATCH} images of 3x32x32, cropped, flipped and learned from labels by `distill()`, as "
        "it is and with the student compiled by `torch.compile`. One thread, its CPU time; medians of "
        f"{rounds} runs of {STEPS} steps in turns, and of the ratios of neighbours. *Compiling* is the time "
        "of the first of these runs, with an empty cache: a process that finds the cache of another takes a "
        "second or two."
    )
    return report.page("Compiled students", about, lines, COMMAND, f"{os.getloadavg()[1]:.2f}")


def main() -> None:
    rounds = rounds_of(COMMAND, __doc__, ROUNDS)
    torch.set_num_threads(1)
    found = {}
    for name, student in STUDENTS.items():
        note(name)
        found[name] = measure(student, rounds)
    save("compiling", page(found, rounds), {"machine": machine(), "seconds": found})


if __name__ == "__main__":
    main()
