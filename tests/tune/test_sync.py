"""MLflow is away for a whole search, and gets all of it afterwards, once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from running import check_whole, command, mlflow_runs
from small import small_spec

import kdsearch
import kdsearch.tune.run
from kdsearch.errors import InputError, KdsearchError
from kdsearch.tune.sync import sync
from tests.tracking.conftest import Server

pytestmark = pytest.mark.slow


def histories(uri: str) -> dict[str, list[tuple[int, int, float]]]:
    """Every figure that MLflow was ever told of the trials."""
    client = MlflowClient(uri)
    return {
        f"{run.data.tags['kdsearch.uid']} {key}": [
            (point.step, point.timestamp, point.value)
            for point in client.get_metric_history(run.info.run_id, key)
        ]
        for run in mlflow_runs(uri, "small")
        for key in run.data.metrics
    }


def test_a_search_is_rebuilt_from_its_files_and_never_told_twice(searched, tmp_path):
    search, folder = searched
    uri = f"sqlite:///{tmp_path}/new.db"
    assert sync("small", folder / "store", uri, 60) == len(search.trials)
    check_whole(folder, uri)
    told = histories(uri)
    sync("small", folder / "store", uri, 60)
    assert histories(uri) == told
    rebuilt = kdsearch.open_search("small", uri)
    columns = ["uid", "number", "state", "baseline", "front", "config", "accuracy", "size_mb", "gain"]
    assert rebuilt.state == search.state and rebuilt.spec == search.spec
    assert rebuilt.trials[columns].equals(search.trials[columns])
    rebuilt.export(tmp_path / "student")


def test_the_mlflow_that_a_search_wrote_to_is_told_nothing_new(searched, tmp_path):
    _, folder = searched
    shutil.copy(folder / "mlflow.db", tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    before = histories(uri)
    sync("small", folder / "store", uri, 60)
    # The latency taken beside other trials was replaced at the end: files have the last, MLflow both.
    assert histories(uri) == before


def test_a_server_that_is_away_for_a_whole_search_gets_it_all_by_sync(local_ray, tmp_path, monkeypatch):
    monkeypatch.setattr(kdsearch.tune.run, "MLFLOW_PATIENCE", 1.0)
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    search = kdsearch.search(small_spec(tmp_path, tracking={"uri": server.uri}), trials=3)
    assert search.outcome is not None and not search.outcome.tracked
    assert (search.outcome.trials["state"] == "complete").all()
    with pytest.raises(KdsearchError, match="did not take everything; sync again later"):
        sync("small", tmp_path / "store", None, 1)
    server.start()
    try:
        done = command(tmp_path, "sync", "small", "--storage", "store")
        assert done.stdout == f"small: MLflow has all {len(search.outcome.trials)} trials\n", done.stderr
        check_whole(tmp_path, server.uri)
    finally:
        server.kill()


def test_sync_of_an_unknown_search_names_the_nearest(searched):
    _, folder = searched
    with pytest.raises(InputError, match="did you mean 'small'"):
        sync("smal", Path(folder / "store"), None, 1)
