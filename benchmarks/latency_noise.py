"""How far apart latencies of one student lie: ten fresh processes, alone and beside training on every CPU.

`python -m benchmarks.latency_noise` prints the table of docs/measurement.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.child import answer

REPEATS = 10
STUDENTS: Sequence[tuple[dict[str, Any], tuple[int, int, int]]] = (
    ({"name": "mlp", "hidden": [32]}, (1, 8, 8)),
    ({"name": "convnet", "width": 6, "depth": 3}, (1, 28, 28)),
    ({"name": "resnet", "depth": 20}, (3, 32, 32)),
)
_BUSY = (
    "import torch; torch.set_num_threads(1)\n"
    "conv, x = torch.nn.Conv2d(16, 16, 3), torch.randn(64, 16, 32, 32)\n"
    "while True: conv(x).sum().backward()"
)


def main() -> None:
    """Measure, and print the table as Markdown."""
    rows = [("alone", _repeated())]
    with _training():
        rows.append(("beside training", _repeated()))
    print(f"{REPEATS} processes each, on {rows[0][1][0]['conditions']['device']}, {os.cpu_count()} CPUs")
    print("| student | | p50 ms | spread | p90 ms | spread | p99 ms | spread |")
    print("|---|---|---|---|---|---|---|---|")
    for index, (student, _) in enumerate(STUDENTS):
        for when, repeats in rows:
            cells = []
            for name in ("p50_ms", "p90_ms", "p99_ms"):
                values = [repeat["latencies"][index][name] for repeat in repeats]
                middle = median(values)
                cells += [f"{middle:.3g}", f"±{(max(values) - min(values)) / 2 / middle:.0%}"]
            options = ", ".join(f"{key} {value}" for key, value in student.items() if key != "name")
            print(f"| {student['name']}, {options} | {when} | " + " | ".join(cells) + " |")


def _repeated() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="kdsearch-bench-") as folder:
        return [answer("benchmarks.latency_noise", STUDENTS, Path(folder)) for _ in range(REPEATS)]


@contextmanager
def _training() -> Iterator[None]:
    """One process a CPU that trains without end."""
    processes = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _measure(question: Path, answered: Path) -> None:
    from dataclasses import asdict

    from kdsearch import models
    from kdsearch.measure import conditions, time_forward

    latencies = []
    for student, shape in json.loads(question.read_text(encoding="utf-8")):
        channels, height, width = shape
        model = models.build(student, (channels, height, width), 10, seed=0)
        latencies.append(asdict(time_forward(model, (channels, height, width))))
    answered.write_text(
        json.dumps({"latencies": latencies, "conditions": conditions("cpu")}), encoding="utf-8"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _measure(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        main()
