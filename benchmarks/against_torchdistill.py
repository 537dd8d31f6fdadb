"""The distillation step against torchdistill's and against the plainest PyTorch loop's.

`python -m benchmarks.against_torchdistill` makes an environment for it, writes benchmarks/TORCHDISTILL.md and
torchdistill.json and prints the table. `--rounds N` (15) says how often each is run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import report
from benchmarks.child import started
from benchmarks.report import machine, note, rounds_of, save, seconds

PINNED = "torchdistill==1.1.5"
#: What it imports that kdsearch does not bring.
WITH = "cython==3.1.4"
COMMAND, ROUNDS = "python -m benchmarks.against_torchdistill", 15


def environment(folder: Path) -> Path:
    """The Python of a fresh environment with torchdistill, which finds all else, torch too, in this one.

    Raises:
        RuntimeError: When torchdistill can't be installed.
    """
    uv = Path(sys.executable).with_name("uv")
    python = folder / "bin" / "python"
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", str(python), "--no-deps", PINNED, WITH],
    ):
        done = subprocess.run([str(uv), *command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
    theirs = next(folder.glob("lib/python*/site-packages"))
    (theirs / "kdsearch.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def measure(rounds: int) -> dict[str, Any]:
    """What `benchmarks.distilling` finds, in an environment of its own."""
    with tempfile.TemporaryDirectory(prefix="kdsearch-bench-") as name:
        folder = Path(name)
        note(f"an environment with {PINNED}")
        python = environment(folder / "venv")
        question, out = folder / "question.json", folder / "answer.json"
        question.write_text(json.dumps(rounds), encoding="utf-8")
        note(f"{rounds} rounds of each")
        with started([str(python), "-m", "benchmarks.distilling", str(question), str(out)], folder):
            pass
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def ratio(case: dict[str, Any], over: str) -> float:
    """kdsearch's share of the other's: the median over neighbours."""
    ours = case["seconds"]["kdsearch"]
    return median(one / other for one, other in zip(ours, case["seconds"][over], strict=True))


def page(found: dict[str, Any], rounds: int) -> str:
    """The table, with what it was taken on."""
    lines = ["| a step of | kdsearch | plain loop | torchdistill | over plain | over torchdistill |"]
    lines += ["|---|--:|--:|--:|--:|--:|"]
    for name, case in found.items():
        times = [seconds(median(case["seconds"][side])) for side in ("kdsearch", "plain", "torchdistill")]
        ratios = [f"{ratio(case, over):.3f}" for over in ("plain", "torchdistill")]
        lines.append(f"| {' | '.join([name, *times, *ratios])} |")
    about = (
        "The same student, teacher (run at every step), batch, losses and optimiser, with the data in "
        f"memory; torchdistill ({PINNED}) gets its batches from a list, without a loader. CPU time of one "
        f"thread, median of {rounds} runs of each in turns; ratios are medians over neighbours. On a single "
        "batch all three end at the same loss."
    )
    return report.page("Against torchdistill", about, lines, COMMAND, f"{os.getloadavg()[1]:.2f}")


def main() -> None:
    rounds = rounds_of(COMMAND, __doc__, ROUNDS)
    try:
        found = measure(rounds)
    except RuntimeError as error:
        print(f"left out, for torchdistill can't be run here: {error}", file=sys.stderr)
        return
    for name, case in found.items():
        ends = case["ends"]
        if max(ends.values()) - min(ends.values()) > 1e-3:
            raise SystemExit(f"{name}: they do not compute the same: {ends}")
    save("torchdistill", page(found, rounds), {"machine": machine(), "cases": found})


if __name__ == "__main__":
    main()
