"""Searches that are killed, stopped and damaged go on where they were."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from running import (
    check_whole,
    command,
    epochs,
    finish,
    results,
    running,
    session_of,
    study_of,
    wait_for,
    wait_until,
    worker_of,
)
from small import small_spec

import kdsearch
from kdsearch.errors import InputError
from kdsearch.tune.status import status

pytestmark = pytest.mark.slow

EPOCHS = 40
#: A trial of seconds, with a checkpoint after every epoch.
LONG: dict[str, Any] = {
    "student": {"name": "convnet", "width": {"choice": [4, 6, 8]}, "depth": 2},
    "teachers": {},
    "distill": {"losses": {"ce": {"weight": {"float": [0.1, 1.0]}}}},
    "optim": {"lr": 0.05, "epochs": EPOCHS},
    "search": {"trials": 3, "seed": 0, "sampler": "random", "concurrent": 1, "baselines": False},
}  # fmt: skip


def long_spec(folder: Path) -> dict[str, Any]:
    compute = {"storage": str(folder / "store"), "checkpoint_every": 0}
    return {**LONG, "compute": compute}


def epoch_of_second(search: Path) -> str:
    """The uid of a trial that runs, has some epochs, and is not the first."""
    done = set(results(search))
    for path in search.glob("trials/*"):
        if done and path.name not in done and 5 <= len(epochs(search, path.name)) < EPOCHS - 5:
            return path.name
    return ""


@pytest.mark.long
def test_a_killed_driver_loses_nothing_and_runs_nothing_twice(local_ray, tmp_path):
    search, store = tmp_path / "store/searches/small", tmp_path / "store"
    with running(tmp_path, **long_spec(tmp_path)) as process:
        cut = wait_until(lambda: epoch_of_second(search), 60)
        process.send_signal(signal.SIGSTOP)
        assert status("small", store).state == "running"
        with pytest.raises(InputError, match=f"runs in process {process.pid} on"):
            kdsearch.search(tmp_path / "space.yaml", resume="small")
        process.kill()
        process.wait()
        wait_until(lambda: not session_of(process.pid, "ray::RayTrainWorker"))
    before, cut_at = results(search), len(epochs(search, cut))
    assert before and cut not in before and (search / "trials" / cut / "checkpoint.pt").exists()
    assert status("small", store).state == "killed"
    kdsearch.search(tmp_path / "space.yaml", resume="small")
    after = results(search)
    assert len(after) == 3
    for uid, record in before.items():
        assert all(after[uid][key] == record[key] for key in ("number", "began", "ended"))
    again = epochs(search, cut)
    assert [epoch["epoch"] for epoch in again] == [*range(1, EPOCHS + 1)] and len(again) > cut_at
    check_whole(tmp_path)
    assert not list(search.glob("trials/*/checkpoint.pt"))
    assert not (search / "train").exists()
    log = (search / "log.txt").read_text()
    assert f"{len(before)} trials are kept, 1 go on" in log


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_goes_on_from_its_checkpoint(workers, tmp_path):
    search, spec = tmp_path / "store/searches/small", long_spec(tmp_path)
    with running(tmp_path, **{**spec, "compute": {**spec["compute"], "workers": workers}}) as process:
        cut = wait_until(lambda: epoch_of_second(search), 60)
        group = session_of(process.pid, "ray::RayTrainWorker")
        assert len(group) == workers
        os.kill(group[-1], signal.SIGKILL)
        wait_until(lambda: set(session_of(process.pid, "ray::RayTrainWorker")) - set(group))
        said = finish(process)
        assert process.returncode == 0, said
    seconds = results(search)[cut]["metrics"]["seconds"]
    whole = max(record["metrics"]["seconds"] for uid, record in results(search).items() if uid != cut)
    assert seconds < whole
    assert [epoch["epoch"] for epoch in epochs(search, cut)] == [*range(1, EPOCHS + 1)]
    check_whole(tmp_path)


def test_sigterm_ends_the_epoch_prints_the_front_and_can_be_resumed(local_ray, tmp_path):
    search = tmp_path / "store/searches/small"
    with running(tmp_path, **long_spec(tmp_path)) as process:
        cut = wait_until(lambda: epoch_of_second(search), 60)
        process.send_signal(signal.SIGTERM)
        said = finish(process)
    assert process.returncode == 0, said
    assert "Recipe" in said and "--resume small" in said and "Traceback" not in said
    stopped = results(search)[cut]
    assert stopped["state"] == "stopped" and 5 <= stopped["epochs"] < EPOCHS
    kdsearch.search(tmp_path / "space.yaml", resume="small")
    assert [epoch["epoch"] for epoch in epochs(search, cut)] == [*range(1, EPOCHS + 1)]
    check_whole(tmp_path)


def test_a_search_is_looked_at_and_stopped_from_another_terminal(tmp_path):
    search, store = tmp_path / "store/searches/small", ("--storage", "store")
    changes = long_spec(tmp_path) | {"optim": {"lr": 0.05, "epochs": 1000}}
    with running(tmp_path, **changes) as process:
        (uid,) = wait_until(lambda: [path.parent.name for path in search.glob("trials/*/epochs.jsonl")], 60)
        looked = command(tmp_path, "status", "small", *store).stdout
        assert f"small: running in process {process.pid}" in looked and f"  {uid}  epoch " in looked
        assert command(tmp_path, "stop", "small", *store).returncode == 0
        finish(process)
    assert command(tmp_path, "status", "small", *store).stdout.startswith("small: stopped")
    assert "stopping after the epochs that run now" in command(tmp_path, "logs", "small", *store).stdout
    again = command(tmp_path, "stop", "small", *store)
    assert again.returncode == 2 and "search 'small' does not run" in again.stderr


def test_a_second_ctrl_c_ends_at_once_and_can_be_resumed(tmp_path):
    search = tmp_path / "store/searches/small"
    changes = long_spec(tmp_path)
    changes["student"] = {"name": "sleepy:Sleepy", "seconds": 5.0}
    changes["distill"] = {"losses": {"ce": {"weight": {"float": [0.1, 1.0]}}}}
    changes["optim"] = {"lr": 0.05, "epochs": 2}
    with running(tmp_path, **changes) as process:
        wait_until(lambda: list(search.glob("trials/*")) and worker_of(process.pid), 60)
        process.send_signal(signal.SIGINT)
        wait_for(process, "stopping after the epochs")
        process.send_signal(signal.SIGINT)
        said = finish(process, timeout=20)
        assert process.returncode == 130 and "--resume small" in said and "Traceback" not in said, said
        wait_until(lambda: not session_of(process.pid), 20)  # whatever Ray started is gone too
    assert not results(search)
    found = status("small", tmp_path / "store")
    assert found.state == "stopped" and found.counts == {"running": 1}


def test_damaged_files_are_thrown_away_and_their_trials_run_again(local_ray, tmp_path):
    spec = small_spec(tmp_path)
    first = kdsearch.search(spec, trials=4)
    search = tmp_path / "store/searches/small"
    front = next(uid for uid in first.front["uid"])
    other = next(uid for uid in first.trials["uid"] if uid not in set(first.front["uid"]))
    weights = search / "trials" / front / "student.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    result = search / "trials" / other / "result.json"
    before = json.loads(result.read_text())
    result.write_text(result.read_text()[:40])
    journal = search / "study.journal"
    journal.write_bytes(journal.read_bytes()[: journal.stat().st_size // 2])
    kept = {uid: record for uid, record in results_of(search).items() if uid != front}
    with pytest.raises(InputError, match=r"begun with another optim"):
        kdsearch.search({**spec, "optim": {"lr": 0.5, "epochs": 3}}, resume="small")
    again = kdsearch.search(spec, resume="small", trials=6)
    assert (again.trials["baseline"] == "").sum() == 6 and (again.trials["state"] == "complete").all()
    after = results_of(search)
    assert all(after[uid]["ended"] == record["ended"] for uid, record in kept.items())
    assert after[other]["metrics"]["accuracy"] == before["metrics"]["accuracy"]
    assert after[other]["ended"] > before["ended"]
    assert front in set(again.front["uid"])
    assert {trial.user_attrs["uid"] for trial in study_of(search).get_trials()} >= {
        uid for uid, record in after.items() if not record["baseline"]
    }
    check_whole(tmp_path)


def results_of(search: Path) -> dict[str, Any]:
    found = {}
    for path in search.glob("trials/*/result.json"):
        try:
            found[path.parent.name] = json.loads(path.read_text())
        except ValueError:
            continue
    return found


def test_two_searches_of_one_name_do_not_start(searched):
    _, folder = searched
    with pytest.raises(InputError, match="--resume small goes on with it"):
        kdsearch.search(small_spec(folder), name="small")
    with pytest.raises(InputError, match=r"no search 'smal' .*did you mean 'small'"):
        kdsearch.search(small_spec(folder), resume="smal")
