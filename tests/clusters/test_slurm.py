"""The batch script, run for real on one node; only Slurm itself is stood in for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kdsearch

pytestmark = [pytest.mark.slow, pytest.mark.long]

SCRIPT = Path(__file__).parents[2] / "clusters" / "slurm.sbatch"
SPACE = """\
name: batch
data: {source: digits, batch_size: 64}
student: {name: mlp, hidden: {choice: [[4], [8]]}}
distill: {losses: {ce: {}}}
optim: {name: sgd, lr: 0.1, epochs: 1}
search: {sampler: random, trials: 2}
"""
#: Runs a step on the node that there is, or names it.
SLURM = {
    "srun": 'while [[ "$1" == --* ]]; do shift; done\n[ $1 = hostname ] && exec echo 127.0.0.1\nexec "$@"\n',
    "scontrol": "echo here\n",
}


@pytest.fixture
def submit(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs the script on a spec, with options, as Slurm would."""
    (tmp_path / "s.yaml").write_text(SPACE)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, body in SLURM.items():
        (bin_ / name).write_text(f"#!/bin/bash\n{body}")
        (bin_ / name).chmod(0o755)
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_CPUS_PER_TASK": "2", "SLURM_JOB_NODELIST": "here"}
    batches = []

    def run(*options: str) -> subprocess.Popen[str]:
        batch = subprocess.Popen(
            ["bash", SCRIPT, "s.yaml", *options],
            cwd=tmp_path,
            env={**os.environ, **job, "PATH": f"{bin_}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        batches.append(batch)
        return batch

    yield run
    for batch in batches:
        os.killpg(batch.pid, signal.SIGKILL)  # Slurm would end the steps that are left


def until(batch: subprocess.Popen[str], start: str) -> str:
    """What it prints, up to a line that starts so."""
    assert batch.stdout is not None
    lines = []
    for line in batch.stdout:
        lines.append(line)
        if line.startswith(start):
            return "".join(lines)
    raise AssertionError("".join(lines))


def test_it_starts_ray_with_a_token_and_searches_on_it(submit, tmp_path: Path):
    batch = submit("--trials", "2")
    said = until(batch, "next:")
    assert batch.wait(60) == 0, said
    found = kdsearch.open_search("batch", f"sqlite:///{tmp_path}/mlflow.db")
    assert found.state == "complete" and len(found.front)


def test_when_its_time_is_nearly_over_the_search_ends_in_order_and_can_be_resumed(submit, tmp_path: Path):
    batch = submit("--set", "optim.epochs=100000", "--set", "search.trials=1")
    curves = tmp_path / "kdsearch_store/searches/batch/trials"
    deadline = time.monotonic() + 120
    while not list(curves.glob("*/epochs.jsonl")):
        assert batch.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    batch.send_signal(signal.SIGINT)  # to the script alone, as --signal=B:INT has it
    said = until(batch, "next:")
    assert batch.wait(60) == 0 and "stopped; `--resume batch` goes on with it" in said, said
    assert kdsearch.open_search("batch", f"sqlite:///{tmp_path}/mlflow.db").state == "stopped"
