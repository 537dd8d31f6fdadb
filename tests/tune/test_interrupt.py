"""Ctrl-C, on a search in a process of its own."""

from __future__ import annotations

import signal

import pytest
from running import finish, running, wait_for

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
