"""A search read back from MLflow, while it runs or afterwards."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.errors import InputError, nearest
from kdsearch.filenames import SPEC
from kdsearch.spec.secrets import scrub
from kdsearch.tracking import names
from kdsearch.tracking.client import connect, runs
from kdsearch.tracking.store import check_uri, database, public_uri

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run

_COLUMNS = ("uid", "run_id", "recipe", "number", "state", "baseline", "front", "reason", "config")


@dataclass(frozen=True)
class SearchRecord:
    """A search as MLflow has it.

    `trials` has a row for each, by number: `uid`, `run_id`, `recipe`, `number` (-1 when it has none),
    `state`, `baseline` (the empty string for a trial that is none), `front`, `reason`, `config` (a dict),
    a column for each final metric, and, where any was timed, `device`, `governor` and `libraries`. Metrics of
    epochs are left to MLflow's charts.
    """

    name: str
    run_id: str
    experiment_id: str
    state: str
    tags: Mapping[str, str]
    spec: str = field(repr=False)
    trials: pd.DataFrame = field(repr=False)


def search_names(uri: str) -> list[str]:
    """The names of all searches in the store at `uri`, the newest first."""
    with opened(uri) as client:
        return list(dict.fromkeys(parent.data.tags[names.SEARCH] for parent in _parents(client)))


def read_search(uri: str, name: str, uid: str = "") -> SearchRecord:
    """The search called `name`: that of the parent run `uid`, by default the newest.

    Raises InputError, with the nearest name, when there is none.
    """
    import pandas as pd

    with opened(uri) as client:
        parents = _parents(client)
        same = [run for run in parents if run.data.tags[names.SEARCH] == name]
        parent = next((run for run in same if uid in ("", run.data.tags.get(names.UID))), None)
        if parent is None:
            known = {run.data.tags[names.SEARCH] for run in parents}
            raise InputError(f"no search '{name}' in {public_uri(uri)}{nearest(name, known)}")
        condition = names.equals(names.PARENT, parent.info.run_id)
        trials = {
            run.data.tags.get(names.UID, run.info.run_id): _row(client, run)
            for run in runs(client, [parent.info.experiment_id], condition)
        }
        rows = sorted(trials.values(), key=lambda row: row["number"])
        return SearchRecord(
            name=name,
            run_id=parent.info.run_id,
            experiment_id=parent.info.experiment_id,
            state=parent.data.tags.get(names.STATE, ""),
            tags=dict(parent.data.tags),
            spec=_text(client, parent.info.run_id, SPEC),
            trials=pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(_COLUMNS)),
        )


def download(uri: str, run_id: str, path: str, folder: Path) -> Path:
    """Fetch the artifact `path` of a run, a file or a folder, into `folder`; returns where it lies."""
    with opened(uri) as client:
        client.get_run(run_id)
        try:
            return Path(client.download_artifacts(run_id, path, str(folder)))
        except Exception as error:
            raise InputError(f"run {run_id} has no artifact '{path}': {scrub(str(error))}") from error


@contextmanager
def opened(uri: str) -> Iterator[MlflowClient]:
    """A client whose errors are InputErrors. Never creates a store: MLflow would, by looking."""
    check_uri(uri)
    if path := database(uri):
        _check_database(path)
    try:
        yield connect(uri)
    except InputError:
        raise
    except Exception as error:
        reason = scrub(str(error)).splitlines() or [type(error).__name__]
        raise InputError(f"MLflow at {public_uri(uri)} cannot be read: {reason[0]}") from error


def _check_database(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"there is no MLflow store {path}")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as found:
            tables = {name for (name,) in found.execute("select name from sqlite_master")}
    except sqlite3.Error as error:
        raise InputError(f"{path} is not an MLflow store: {error}") from error
    if "runs" not in tables:
        raise InputError(f"{path} is not an MLflow store: it has no table of runs")


def _parents(client: MlflowClient) -> list[Run]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = [*runs(client, experiments, names.equals(names.KIND, "search"))]
    return [run for run in reversed(found) if names.SEARCH in run.data.tags]


def _row(client: MlflowClient, run: Run) -> dict[str, Any]:
    tags = run.data.tags
    apart = (names.EPOCH_PREFIX, names.CONFIG_PREFIX)
    config = tags.get(names.CONFIG) or _text(client, run.info.run_id, names.CONFIG_FILE) or "{}"
    return {
        "uid": tags.get(names.UID, run.info.run_id),
        "run_id": run.info.run_id,
        "recipe": run.info.run_name,
        "number": int(tags.get(names.NUMBER, -1)),
        "state": tags.get(names.STATE, ""),
        "baseline": tags.get(names.BASELINE, ""),
        "front": tags.get(names.FRONT) == "true",
        "reason": tags.get(names.REASON, ""),
        "config": json.loads(config),
        **{key: text for key in names.CONDITIONS if (text := tags.get(f"kdsearch.{key}"))},
        **{
            key: value
            for key, value in run.data.metrics.items()
            if key not in _COLUMNS and not key.startswith(apart)
        },
    }


def _text(client: MlflowClient, run_id: str, file: str) -> str:
    """The artifact `file`, or nothing if it has not been written (yet)."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return Path(client.download_artifacts(run_id, file, folder)).read_text(encoding="utf-8")
        except Exception:
            return ""
