"""Models that run out of memory, hang, raise, and kill their workers; and trial actors that are killed."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest
from running import check_whole, running, session_of, study_of, wait_until
from small import small_spec

import kdsearch
from kdsearch.errors import KdsearchError

pytestmark = pytest.mark.slow


def faulty(folder: Path, faults: list[str], **changes: Any) -> dict[str, Any]:
    """Every config of a sound and a faulty student, each tried once and in a random order."""
    sound = {"name": "faulty:Faulty", "width": {"int": [2, 4]}}
    broken = [{"name": "faulty:Faulty", "fault": fault, "width": {"int": [2, 4]}} for fault in faults]
    return small_spec(
        folder,
        teachers={},
        distill={"losses": {"ce": {}}},
        student={"choice": [sound, *broken]},
        optim={"lr": 0.1, "epochs": 2},
        search={"sampler": "random", "trials": 20, "seed": 2, "concurrent": 1, "baselines": False},
        compute={"storage": str(folder / "store"), **changes},
    )


def states(search: kdsearch.Search) -> dict[str, set[str]]:
    """The reasons of the trials of each fault."""
    found: dict[str, set[str]] = {}
    for row in search.trials.itertuples():
        fault = row.config["student"].get("fault", "none")
        found.setdefault(fault, set()).add(row.reason if row.state == "failed" else row.state)
    return found


def test_out_of_memory_is_infeasible_and_the_group_goes_on(local_ray, tmp_path):
    search = kdsearch.search(faulty(tmp_path, ["memory"]))
    found = states(search)
    assert found["none"] == {"complete"} and (search.trials["state"] == "complete").sum() == 3
    (reason,) = found["memory"]
    assert re.match("out of memory: .*can't allocate memory", reason)
    trials = study_of(tmp_path / "store/searches/small").get_trials()
    told = [trial for trial in trials if any(value > 0 for value in trial.constraints.values())]
    failed = set(search.trials[search.trials["state"] == "failed"]["uid"])
    assert {trial.user_attrs["uid"] for trial in told} == failed
    assert all(trial.state == optuna.trial.TrialState.PRUNED for trial in told)
    check_whole(tmp_path)


def test_a_model_that_hangs_is_killed_and_the_group_goes_on(local_ray, tmp_path):
    spec = faulty(tmp_path, ["hang"], epoch_timeout=2)
    spec["student"]["choice"][1]["width"] = 2
    search = kdsearch.search(spec)
    found = states(search)
    assert found["none"] == {"complete"} and (search.trials["state"] == "complete").sum() == 3
    assert found["hang"] == {"no epoch in 2 s: it hangs, or compute.epoch_timeout is too low"}
    check_whole(tmp_path)


def test_a_model_that_kills_its_workers_is_given_up_and_the_group_goes_on(local_ray, tmp_path):
    spec = faulty(tmp_path, ["die"])
    spec["student"]["choice"][1]["width"] = 2
    search = kdsearch.search(spec)
    assert states(search) == {"none": {"complete"}, "die": {"its worker died 3 times"}}
    check_whole(tmp_path)


def test_three_failures_in_a_row_of_one_kind_stop_the_search(local_ray, tmp_path):
    spec = faulty(tmp_path, [])
    spec["student"] = {"name": "faulty:Faulty", "fault": "raise", "width": {"int": [2, 16]}}
    with pytest.raises(KdsearchError, match=r"3 trials in a row .* RuntimeError: this model breaks with"):
        kdsearch.search(spec)
    trials = kdsearch.open_search("small", spec["tracking"]["uri"]).trials
    assert len(trials) == 3 and set(trials["state"]) == {"failed"}
    calls = [path.read_text() for path in (tmp_path / "store/searches/small/trials").glob("*/error.txt")]
    assert len(calls) == 3 and all("in forward" in text and "this model breaks" in text for text in calls)


def test_a_loss_that_always_diverges_stops_the_search(local_ray, tmp_path):
    spec = faulty(tmp_path, [])
    spec["student"] = {"name": "mlp", "hidden": {"choice": [[4], [5], [6], [7], [8]]}}
    spec["optim"] = {"lr": 1e9, "epochs": 2}
    with pytest.raises(KdsearchError, match=r"3 trials in a row .* the loss became (nan|inf) in epoch"):
        kdsearch.search(spec)


#: What the process of a trial actor calls itself: Tune wraps the class.
TRIAL_ACTOR = ("ray::Trial", "ray::ResourceTrainable")


@pytest.mark.long
def test_a_killed_trial_actor_costs_no_trial(tmp_path):
    changes = faulty(tmp_path, []) | {"optim": {"lr": 0.05, "epochs": 600}}
    with running(tmp_path, **changes) as process:
        search = tmp_path / "store/searches/small"
        for number in (1, 2):
            wait_until(lambda number=number: len(list(search.glob("trials/*/epochs.jsonl"))) == number, 60)
            (actor,) = session_of(process.pid, *TRIAL_ACTOR)
            os.kill(actor, signal.SIGKILL)
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    check_whole(tmp_path)
    trials = kdsearch.open_search("small", changes["tracking"]["uri"]).trials
    assert len(trials) == 3 and set(trials["state"]) == {"complete"}


@pytest.mark.long
def test_a_killed_mailbox_ends_the_search_and_it_can_be_resumed(tmp_path):
    changes = faulty(tmp_path, []) | {"optim": {"lr": 0.05, "epochs": 600}}
    with running(tmp_path, **changes) as process:
        search = tmp_path / "store/searches/small"
        wait_until(lambda: len(list(search.glob("trials/*/epochs.jsonl"))) == 2, 60)
        (mailbox,) = session_of(process.pid, "ray::Mailbox")
        os.kill(mailbox, signal.SIGKILL)
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 1, said
    assert "that hands out the trials died" in said and "--resume small" in said and "Traceback" not in said
    with running(tmp_path, "--resume", "small") as process:
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    check_whole(tmp_path)
    trials = kdsearch.open_search("small", changes["tracking"]["uri"]).trials
    assert len(trials) == 3 and set(trials["state"]) == {"complete"}


@pytest.mark.long
def test_a_trial_that_meets_a_dead_idle_actor_is_attended_by_another(tmp_path):
    student = {"choice": [{"name": "mlp", "hidden": [4]}, {"name": "sleepy:Sleepy", "seconds": 0.3}]}
    distill = {"teachers": {"members": ["wide"]}, "losses": {"ce": {}, "kd": {"temperature": 2.0}}}
    search = {"sampler": "random", "trials": 2, "seed": 1, "concurrent": 2}
    optim = {"name": "sgd", "lr": {"float": [0.05, 0.1]}, "epochs": 3}
    changes = small_spec(tmp_path, student=student, distill=distill, optim=optim, search=search)
    with running(tmp_path, **changes) as process:
        folder = tmp_path / "store/searches/small/trials"
        # One trial is left, which takes its time; what comes then waits for its end.
        wait_until(
            lambda: [len(list(folder.glob(f"*/{name}.json"))) for name in ("trial", "result")] == [4, 3], 90
        )
        idle = wait_until(lambda: len(found := session_of(process.pid, *TRIAL_ACTOR)) == 2 and found, 30)
        for actor in idle:
            os.kill(actor, signal.SIGKILL)
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    check_whole(tmp_path)
    trials = kdsearch.open_search("small", changes["tracking"]["uri"]).trials
    assert len(trials) == 5 and set(trials["state"]) == {"complete"}
