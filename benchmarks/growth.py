"""How the cost of a trial grows with their number: searches whose trials do next to nothing.

`python -m benchmarks.growth` writes benchmarks/GROWTH.md and growth.json; `--samplers NAME ...` only the rows
of these. `--trials N` prints those of shorter searches, and writes nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.child import answer
from benchmarks.report import HERE, listed, machine, note, save, seconds
from kdsearch.registry import parts

#: Trials of each sampler: a Gaussian process takes seconds a trial before it comes to a thousand.
TRIALS = {"random": 2000, "tpe": 2000, "nsga2": 2000, "nsga3": 2000, "gp": 300}
#: After how many trials it is looked at, and how many before that are looked at.
MARKS, WINDOW = (100, 300, 500, 1000, 2000), 80
LIMIT = 0.1

Found = dict[str, Any]


def measure(sampler: str, trials: int) -> list[Found]:
    """A row a mark: seconds of a trial, those of the driver's thread and of the sampler alone, and memory.

    Times are medians over the trials before the mark, but for those of the sampler and the driver, which are
    means: a generation costs a genetic algorithm all at once.
    """
    note(f"{sampler}: a search of {trials} trials")
    search = _asked("benchmarks.growing", {"sampler": sampler, "trials": trials})
    note(f"{sampler}: asked and told alone")
    floor = _asked("benchmarks.asking", {"sampler": sampler, "trials": trials, "values": search["values"]})
    return [_row(sampler, mark, search, floor) for mark in MARKS if mark <= trials]


def _asked(module: str, question: Found) -> Any:
    with tempfile.TemporaryDirectory(prefix="kdsearch-bench-") as folder:
        return answer(module, question, Path(folder))


def _row(sampler: str, mark: int, search: Found, floor: list[float]) -> Found:
    first = max(0, mark - WINDOW)
    ended, trials = search["ended"][first:mark], mark - first - 1
    steps = [after - before for before, after in itertools.pairwise(ended)]
    memory = next(seen for seen in search["memory"] if seen["trials"] == mark)
    row = {
        "sampler": sampler,
        "trials": mark,
        "wall": median(steps),
        "driver": (search["busy"][mark - 1] - search["busy"][first]) / trials,
        "floor": (floor[mark - 1] - floor[first]) / trials,
        "memory": {key: memory[key] for key in ("driver", "worker", "mailbox", "trial")},
    }
    note(f"  {mark}: {seconds(row['wall'])}, {seconds(row['driver'])} of it the driver's own work")
    return row


def table(rows: list[Found]) -> str:
    """One row a sampler and mark."""
    lines = ["| sampler | after | wall time a trial | driver's own work | sampler alone | driver | worker |"]
    lines += ["|---|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        mark = "**" if row["sampler"] == "random" and row["wall"] > LIMIT else ""
        cells = (
            f"`{row['sampler']}`",
            str(row["trials"]),
            f"{mark}{seconds(row['wall'])}{mark}",
            seconds(row["driver"]),
            seconds(row["floor"]),
            *(f"{row['memory'][name]:.0f} MB" for name in ("driver", "worker")),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(found: Found) -> str:
    """The table, with what it is of and what it was taken on."""
    about = (
        "A trial of nothing (a step of a tiny MLP on 64 images of 1x4x4) through all of a search: Tune, the "
        "sampler, a worker group, the front, and MLflow on SQLite; one trial at a time. *Wall time* is the "
        f"median of the {WINDOW} trials before, all of it overhead, asked to be at most {seconds(LIMIT)} "
        "with `random` (above in bold). *The driver's own work* is the CPU time of its main thread, a mean, "
        "which what else the machine does hardly touches: the sampler's is in it. *Sampler alone* is the CPU "
        "time of Optuna's ask and tell in a process of its own, with the same space and values, its own "
        "samplers and its own journal: the floor. *Driver* and *worker* are the peaks of the resident memory "
        "of these processes until then."
    )
    title = "# What a trial costs as they grow in number\n\nWritten by `python -m benchmarks.growth`."
    return f"{title}\n\n{about}\n\n{table(found['rows'])}\n\n{listed(found['machine'])}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--trials", type=int, help="of each sampler, and nothing is written")
    parser.add_argument("--samplers", nargs="+", default=list(TRIALS), help="only these")
    given = parser.parse_args()
    if unknown := set(given.samplers) - set(TRIALS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(parts('sampler'))}")
    load = f"{os.getloadavg()[0]:.2f}"
    rows = [row for name in given.samplers for row in measure(name, given.trials or TRIALS[name])]
    if given.trials:
        print(table(rows))
        return
    file = HERE / "growth.json"
    kept = json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else []
    rows = sorted(
        [row for row in kept if row["sampler"] not in given.samplers] + rows,
        key=lambda row: (list(TRIALS).index(row["sampler"]), row["trials"]),
    )
    found = {"machine": machine() | {"load average before": load}, "rows": rows}
    save("growth", page(found), found)


if __name__ == "__main__":
    main()
