"""Ctrl-C and dying workers, on a search in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from small import small_spec

import kdsearch

pytestmark = pytest.mark.slow


def start(folder: Path, **changes: object) -> subprocess.Popen[str]:
    (folder / "space.yaml").write_text(yaml.safe_dump(small_spec(folder, **changes)), encoding="utf-8")
    command = [sys.executable, "-m", "kdsearch.cli", "search", "space.yaml"]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], pattern: str) -> list[str]:
    """The lines that a process prints until one matches."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return lines
    raise AssertionError(f"never printed {pattern}:\n{''.join(lines)}")


def test_ctrl_c_keeps_what_is_done_and_prints_the_front(tmp_path):
    process = start(tmp_path, search={"trials": 500, "seed": 0, "sampler": "random", "concurrent": 1})
    try:
        wait_for(process, r"^\[4/")
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, rest
    assert "stopping after the epochs that run now" in rest
    assert "Recipe" in rest and "export small" in rest and "Traceback" not in rest
    search = kdsearch.open_search("small", f"sqlite:///{tmp_path}/mlflow.db")
    assert search.state == "stopped"
    assert 4 <= (search.trials["state"] == "complete").sum() < 100
    assert len(search.front) and search.front["test_accuracy"].notna().all()


def test_a_killed_worker_costs_no_trial(tmp_path):
    student = {"name": "convnet", "width": {"choice": [4, 6, 8]}, "depth": 2}
    search = {"trials": 3, "seed": 0, "sampler": "random", "concurrent": 1}
    process = start(tmp_path, student=student, search=search, optim={"lr": 0.05, "epochs": 40})
    try:
        wait_for(process, r"^\[1/")
        os.kill(worker_of(process.pid), signal.SIGKILL)
        rest, _ = process.communicate(timeout=180)
    finally:
        process.kill()
    assert process.returncode == 0, rest
    trials = kdsearch.open_search("small", f"sqlite:///{tmp_path}/mlflow.db").trials
    assert set(trials["state"]) == {"complete"} and trials["uid"].is_unique
    assert (trials["baseline"] == "").sum() == 3


def worker_of(driver: int) -> int:
    """The Ray Train worker in the session of a driver."""
    for _ in range(100):
        listed = subprocess.run(
            ["ps", "-eo", "pid,sid,args"], capture_output=True, text=True, check=True
        ).stdout
        for line in listed.splitlines():
            pid, session, name = line.split(None, 2) if len(line.split(None, 2)) == 3 else ("", "", "")
            if name.startswith("ray::RayTrainWorker") and session == str(driver):
                return int(pid)
        time.sleep(0.1)
    raise AssertionError(f"no worker of {driver} found:\n{listed}")
