"""Searches in processes of their own, to be killed, and a look at what they leave."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import yaml
from mlflow import MlflowClient
from optuna.storages.journal import JournalFileBackend
from small import small_spec

USER = str(Path(__file__).parent)


@contextmanager
def running(
    folder: Path, *options: str, prefix: tuple[str, ...] = (), **changes: Any
) -> Iterator[subprocess.Popen[str]]:
    """`kdsearch search` on the small space in a session of its own, which is gone afterwards."""
    space = folder / "space.yaml"
    if not space.exists():
        space.write_text(yaml.safe_dump(small_spec(folder, **changes)), encoding="utf-8")
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "kdsearch", "search", "space.yaml", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [USER, os.environ.get("PYTHONPATH")]))},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        # Workers see that their driver is gone; Ray's own agents take a minute to.
        for left in session_of(process.pid):
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`kdsearch ARGUMENTS`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "kdsearch", *arguments], cwd=folder, capture_output=True, text=True
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


def finish(process: subprocess.Popen[str], timeout: float = 120) -> str:
    """The rest of what a process prints."""
    return process.communicate(timeout=timeout)[0]


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What `condition` gives, once that is something."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"never came: {condition}"
        time.sleep(0.05)
    return found


def session_of(leader: int, *names: str) -> list[int]:
    """The processes that began in the session of a process, those whose name starts so, if any is given."""
    listed = subprocess.run(["ps", "-eo", "pid,sid,stat,args"], capture_output=True, text=True, check=True)
    rows = [line.split(None, 3) for line in listed.stdout.splitlines()[1:]]
    return [
        int(pid)
        for pid, session, state, args in rows
        if session == str(leader) and state[0] != "Z" and args.startswith(names or "")
    ]


def worker_of(leader: int) -> int:
    """The Ray Train worker of a search."""
    return int(wait_until(lambda: session_of(leader, "ray::RayTrainWorker"))[0])


def results(search: Path) -> dict[str, dict[str, Any]]:
    """The result files of a search, by uid."""
    files = search.glob("trials/*/result.json")
    return {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


def epochs(search: Path, uid: str) -> list[dict[str, Any]]:
    """The epochs that a trial told of."""
    file = search / "trials" / uid / "epochs.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def study_of(search: Path) -> optuna.Study:
    """The study beside a search."""
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(search / "study.journal")))
    return optuna.load_study(study_name=search.name, storage=storage)


def mlflow_runs(uri: str, search: str) -> list[Any]:
    """The runs of the trials of a search; there is one search of that name."""
    client = MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (parent,) = client.search_runs(
        experiments, f"tags.`kdsearch.kind` = 'search' and tags.`kdsearch.search` = '{search}'"
    )
    return list(client.search_runs(experiments, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"))


def held(uri: str, search: str = "small") -> dict[str, Any]:
    """All that an MLflow holds of a search and of its trials, by uid, but for the histories of epochs."""
    client = MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`kdsearch.search` = '{search}'")
    return {
        run.data.tags["kdsearch.uid"]: {
            "status": run.info.status,
            "tags": {key: text for key, text in run.data.tags.items() if key != "mlflow.parentRunId"},
            "params": run.data.params,
            "metrics": run.data.metrics,
            "artifacts": sorted(_artifacts(client, run.info.run_id)),
            "hypervolumes": [
                (point.step, point.timestamp, point.value)
                for point in client.get_metric_history(run.info.run_id, "hypervolume")
            ],
        }
        for run in runs
    }


def _artifacts(client: MlflowClient, run: str, folder: str | None = None) -> Iterator[str]:
    for item in client.list_artifacts(run, folder):
        if item.is_dir:
            yield from _artifacts(client, run, item.path)
        else:
            yield item.path


def check_whole(folder: Path, uri: str | None = None, name: str = "small") -> None:
    """Every trial stands once, and as the same, in the files, in the study and in MLflow."""
    search = folder / "store/searches" / name
    told = results(search)
    assert told and {record["state"] for record in told.values()} <= {"complete", "failed"}
    assert sorted(record["number"] for record in told.values()) == [*range(len(told))]
    assert {path.name for path in (search / "trials").iterdir()} == set(told)
    runs = mlflow_runs(uri or f"sqlite:///{folder}/mlflow.db", name)
    assert sorted(run.data.tags["kdsearch.uid"] for run in runs) == sorted(told)
    for run in runs:
        record = told[run.data.tags["kdsearch.uid"]]
        assert run.data.tags["kdsearch.state"] == record["state"]
        assert run.info.status == {"complete": "FINISHED", "failed": "FAILED"}[record["state"]]
        for key, value in record["metrics"].items():
            if isinstance(value, float | int):
                assert run.data.metrics[key] == value, key
    trials = study_of(search).get_trials()
    assert all(trial.state.is_finished() for trial in trials)
    # A config that is suggested again fails there, without being run.
    complete = {t.user_attrs["uid"] for t in trials if t.state == optuna.trial.TrialState.COMPLETE}
    for uid, record in told.items():
        if not record["baseline"]:
            assert (uid in complete) == (record["state"] == "complete")
    assert not [*search.rglob("*.part"), *search.rglob("*.lock"), *search.rglob("lock")]
