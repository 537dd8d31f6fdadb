"""Ctrl-C, on a search in a process of its own."""

from __future__ import annotations

import signal
import time

import pytest
from running import finish, running, session_of, wait_for, wait_until

import kdsearch

pytestmark = pytest.mark.slow


def test_ctrl_c_keeps_what_is_done_and_prints_the_front(tmp_path):
    search = {"trials": 500, "seed": 0, "sampler": "random", "concurrent": 1}
    with running(tmp_path, search=search) as process:
        wait_for(process, r"^\[4/")
        process.send_signal(signal.SIGINT)
        rest = finish(process)
    assert process.returncode == 0, rest
    assert "stopping after the epochs that run now" in rest
    assert "Recipe" in rest and "export small" in rest and "Traceback" not in rest
    found = kdsearch.open_search("small", f"sqlite:///{tmp_path}/mlflow.db")
    assert found.state == "stopped"
    assert 4 <= (found.trials["state"] == "complete").sum() < 100
    assert len(found.front) and found.front["test_accuracy"].notna().all()


def test_ctrl_c_before_the_first_trial_says_so(tmp_path):
    with running(tmp_path) as process:
        wait_for(process, "teacher wide: training")
        process.send_signal(signal.SIGINT)
        rest = finish(process)
    assert process.returncode == 1 and "Traceback" not in rest, rest
    assert "stopped before the first trial" in rest


@pytest.mark.long
def test_a_second_ctrl_c_does_not_wait_for_a_teacher(tmp_path):
    teachers = {"slow": {"model": {"name": "sleepy:Sleepy", "seconds": 5}, "epochs": 1}}
    distill = {"teachers": {"members": ["slow"]}, "losses": {"kd": {"temperature": {"float": [1, 4]}}}}
    with running(tmp_path, teachers=teachers, distill=distill) as process:
        wait_until(lambda: session_of(process.pid, "ray::RayTrainWorker"), 90)
        time.sleep(15)  # until it trains, for a hundred seconds
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(1)
        rest = finish(process, timeout=40)
    assert process.returncode == 130 and "Traceback" not in rest, rest
