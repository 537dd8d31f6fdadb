"""MLflow is away for a whole search, and gets all of it afterwards, once."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Thread

import pytest
from mlflow import MlflowClient
from running import (
    check_whole,
    command,
    finish,
    held,
    mlflow_runs,
    results,
    running,
    wait_for,
    wait_until,
)
from small import small_spec

import kdsearch
import kdsearch.tune.run
from kdsearch.errors import InputError, KdsearchError
from kdsearch.tune.folder import old_folder
from kdsearch.tune.search_lock import holder
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
    assert rebuilt.reference == search.reference
    rebuilt.export(tmp_path / "student")


def test_a_fresh_store_holds_after_sync_what_the_search_told_its_own(searched, tmp_path):
    search, folder = searched
    uri = f"sqlite:///{tmp_path}/new.db"
    sync("small", folder / "store", uri, 60)
    own, fresh = held(search.uri), held(uri)
    assert fresh == own
    (whole,) = (run for run in fresh.values() if run["tags"]["kdsearch.kind"] == "search")
    assert {"report.html", "front.json", "hypervolume.png", "curves.html"} <= set(whole["artifacts"])
    assert len(whole["hypervolumes"]) >= len(search.front)
    sync("small", folder / "store", uri, 60)
    assert held(uri) == own


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


@pytest.mark.long
@pytest.mark.parametrize("ill", ["hangs", "answers 500"])
def test_a_server_that_is_ill_for_a_part_of_a_search_delays_no_trial_and_is_told_all(
    ill, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    server.start()
    trials = {"trials": 30, "seed": 0, "sampler": "random", "concurrent": 1}
    try:
        with running(tmp_path, tracking={"uri": server.uri}, search=trials) as process:
            wait_for(process, r"^\[5/")
            with server.frozen() if ill == "hangs" else server.failing():
                lines = wait_for(process, r"^\[25/")
            said = "".join(lines) + finish(process)
        assert process.returncode == 0 and "does not answer" in said and "answers again" in said, said
        check_whole(tmp_path, server.uri)
    finally:
        server.kill()


@pytest.mark.long
def test_two_stores_with_a_search_of_one_name_each_keep_their_runs_apart(local_ray, tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
    tracking = {"tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db"}}
    search = {"search": {"sampler": "random", "trials": 1, "baselines": False, "concurrent": 1}}
    specs = {place: small_spec(tmp_path / place, **tracking, **search) for place in ("a", "b")}
    first, second = (kdsearch.search(spec) for spec in specs.values())
    theirs = held(second.uri)
    again = kdsearch.search(specs["a"], resume="small", trials=3)
    assert again.outcome is not None and again.outcome.uid == first.outcome.uid != second.outcome.uid
    assert len(again.trials) == 3 and set(again.trials["uid"]) == set(again.outcome.trials["uid"])
    sync("small", tmp_path / "a/store", None, 60)
    parents = {}
    for run in MlflowClient(second.uri).search_runs(
        _experiments(second.uri), "tags.`kdsearch.kind` = 'trial'"
    ):
        parents.setdefault(run.data.tags["mlflow.parentRunId"], set()).add(run.data.tags["kdsearch.uid"])
    stores = [set(results(tmp_path / place / "store/searches/small")) for place in ("a", "b")]
    assert sorted(parents.values(), key=len) == sorted(stores, key=len) and len(stores[0]) == 3
    whole = second.outcome.uid
    assert held(second.uri)[whole] == theirs[whole]


def _experiments(uri):
    return [experiment.experiment_id for experiment in MlflowClient(uri).search_experiments()]


def test_a_search_that_is_synced_or_confirmed_is_not_resumed_or_synced_meanwhile(searched, tmp_path):
    search, folder = searched
    store, place = folder / "store", folder / "store/searches/small"
    with old_folder(store, "small", "confirm"):
        taken = r"search 'small' is held by `kdsearch confirm`, which runs in process \d+ on "
        for disturb in (
            lambda: kdsearch.search(small_spec(folder), resume="small"),
            lambda: sync("small", store, None, 1),
            search.confirm,
        ):
            with pytest.raises(InputError, match=taken):
                disturb()
    failures = []

    def away() -> None:
        try:
            sync("small", store, "http://127.0.0.1:9", 3)
        except KdsearchError as error:
            failures.append(str(error))

    syncing = Thread(target=away)
    syncing.start()
    _, work = wait_until(lambda: holder(place))
    with pytest.raises(InputError, match="is held by `kdsearch sync`"):
        kdsearch.search(small_spec(folder), resume="small")
    assert work == "sync" and syncing.is_alive()
    syncing.join(60)
    assert "sync again later" in failures[0] and holder(place) is None
    assert not (place / "lock").exists()


def test_sync_of_an_unknown_search_names_the_nearest(searched):
    _, folder = searched
    with pytest.raises(InputError, match="did you mean 'small'"):
        sync("smal", Path(folder / "store"), None, 1)
