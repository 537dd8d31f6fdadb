"""The batch script, run for real on one node; only Slurm itself is stood in for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


def test_it_starts_ray_with_a_token_and_searches_on_it(tmp_path: Path):
    (tmp_path / "s.yaml").write_text(SPACE)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, body in SLURM.items():
        (bin_ / name).write_text(f"#!/bin/bash\n{body}")
        (bin_ / name).chmod(0o755)
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_CPUS_PER_TASK": "2", "SLURM_JOB_NODELIST": "here"}
    environment = {**os.environ, **job, "PATH": f"{bin_}:{os.environ['PATH']}"}
    batch = subprocess.Popen(
        ["bash", SCRIPT, "s.yaml", "--trials", "2"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert batch.stdout is not None
        lines = []
        for line in batch.stdout:
            lines.append(line)
            if line.startswith("next:"):
                break
        assert batch.wait(60) == 0, "".join(lines)
    finally:
        os.killpg(batch.pid, signal.SIGKILL)  # Slurm would end the steps that are left
    found = kdsearch.open_search("batch", f"sqlite:///{tmp_path}/mlflow.db")
    assert found.state == "complete" and len(found.front)
