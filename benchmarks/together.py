"""How many trials on one device pay: students that train in processes of their own, at the same time.

`python -m benchmarks.together` prints the table and writes benchmarks/TOGETHER.md and together.json;
`--at-once N ...` (1 2 4 8 on a GPU, 1 2 on a CPU) says how many, `--seconds S` (20) for how long.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from benchmarks import report
from benchmarks.child import answer
from benchmarks.report import machine, note, save

COMMAND = "python -m benchmarks.together"
STUDENTS: dict[str, dict[str, Any]] = {
    "convnet, width 16": {"name": "convnet", "width": 16, "depth": 3},
    "resnet8": {"name": "resnet", "depth": 8},
    "resnet8x4": {"name": "resnet", "depth": 8, "width": 4},
}

Found = dict[str, Any]


def measure(student: Mapping[str, Any], count: int, device: str, seconds: float) -> Found:
    """Images per second of so many processes in all, and the most memory of a GPU that one of them took."""
    with tempfile.TemporaryDirectory(prefix="kdsearch-bench-") as made, ThreadPoolExecutor(count) as pool:
        folder = Path(made)
        questions = [
            {
                "device": device,
                "share": 1 / count,
                "student": student,
                "folder": made,
                "seconds": seconds,
                "number": number,
            }
            for number in range(count)
        ]
        places = [folder / str(number) for number in range(count)]
        for place in places:
            place.mkdir()
        answers = [
            pool.submit(answer, "benchmarks.training", question, place)
            for question, place in zip(questions, places, strict=True)
        ]
        while len(list(folder.glob("ready-*"))) < count and not any(each.done() for each in answers):
            time.sleep(0.05)
        (folder / "go").touch()
        found = [each.result() for each in answers]
    rate, memory = sum(each["rate"] for each in found), max(each["memory"] for each in found)
    return {"at once": count, "rate": rate, "memory": memory}


def page(found: Mapping[str, list[Found]], device: str, seconds: float) -> str:
    """The table, with what it was taken on."""
    lines = ["| student | at once | images in all | of one alone | memory each |", "|---|--:|--:|--:|--:|"]
    for name, rows in found.items():
        for row in rows:
            memory = f"{row['memory'] / 1e6:.0f} MB" if row["memory"] else ""
            cells = [
                name,
                str(row["at once"]),
                f"{row['rate']:.0f}/s",
                f"{row['rate'] / rows[0]['rate']:.2f}",
            ]
            lines.append(f"| {' | '.join([*cells, memory])} |")
    place = torch.cuda.get_device_name() if device == "cuda" else "the CPU, a thread each"
    about = (
        f"On {place}: batches of 64 images of 3x32x32, cropped and flipped, learned from labels for "
        f"{seconds:.0f} seconds, each student in a process with its share of the memory, as "
        "`gpus_per_worker` gives it. As many pay as still raise the images in all."
    )
    return report.page("Trials that share a device", about, lines, COMMAND, f"{os.getloadavg()[1]:.2f}")


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    counts = [1, 2, 4, 8] if device == "cuda" else [1, 2]
    parser.add_argument("--at-once", type=int, nargs="+", default=counts)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    found: dict[str, list[Found]] = {}
    for name, student in STUDENTS.items():
        found[name] = []
        for count in given.at_once:
            note(f"{name}: {count} at once")
            found[name].append(measure(student, count, device, given.seconds))
    save("together", page(found, device, given.seconds), {"machine": machine(), "found": found})


if __name__ == "__main__":
    main()
