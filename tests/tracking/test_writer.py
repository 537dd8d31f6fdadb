from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from kdsearch.errors import InputError
from kdsearch.tracking import Writer
from kdsearch.tracking.work import Text, Work

Open = Callable[..., Writer]
CONFIG = {"student": {"name": "mlp", "hidden": [64]}, "optim": {"lr": 0.1, "epochs": 2}}


def one_trial(writer: Writer, uid: str, *, front: bool = False, epochs: int = 2) -> None:
    writer.start_trial(uid, f"recipe {uid}", CONFIG, {"kdsearch.number": uid[1:]})
    for epoch in range(epochs):
        writer.log_epoch(uid, epoch, {"loss": 1.0 - epoch / 100, "loss/kd": 0.5, "accuracy": 0.5, "lr": 0.1})
    writer.log_metrics(uid, {"accuracy": 0.9, "latency_ms": 1.5})
    writer.end_trial(uid, "complete", {})
    writer.set_tags(uid, {"kdsearch.front": str(front).lower()})


def by_uid(client: MlflowClient, kind: str = "trial") -> dict[str, object]:
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(ids, f"tags.`kdsearch.kind` = '{kind}'")
    assert len({run.data.tags["kdsearch.uid"] for run in found}) == len(found), "a run is there twice"
    return {run.data.tags["kdsearch.uid"]: run for run in found}


def test_a_search_is_a_parent_run_with_a_nested_run_for_each_trial(
    open_writer: Open, client: MlflowClient, tmp_path: Path
) -> None:
    writer = open_writer()
    one_trial(writer, "t0")
    writer.start_trial("t1", "bad", CONFIG, {})
    writer.end_trial("t1", "failed", {"kdsearch.reason": "NaN loss"})
    writer.end("complete")
    assert writer.close(30)

    (parent,) = by_uid(client, "search").values()
    assert parent.info.run_name == "digits"
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["kdsearch.version.torch"] == "2"
    assert parent.info.artifact_uri.startswith(str(tmp_path / "mlartifacts" / "project"))
    good, bad = (by_uid(client)[uid] for uid in ("t0", "t1"))
    assert good.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert good.info.run_name == "recipe t0"
    assert good.data.params["optim.lr"] == "0.1"
    assert good.data.metrics["config/optim.lr"] == 0.1
    assert good.data.metrics["accuracy"] == 0.9
    assert [m.value for m in client.get_metric_history(good.info.run_id, "epoch/loss")] == [1.0, 0.99]
    assert good.info.end_time >= good.info.start_time
    assert (bad.info.status, bad.data.tags["kdsearch.state"]) == ("FAILED", "failed")


def test_the_front_is_found_by_its_tag_and_follows_it(open_writer: Open, client: MlflowClient) -> None:
    writer = open_writer()
    for number in range(4):
        one_trial(writer, f"t{number}", front=number % 2 == 0)
    writer.set_tags("t2", {"kdsearch.front": "false"})
    assert writer.close(30)
    experiment = client.get_experiment_by_name("project").experiment_id
    front = client.search_runs([experiment], "tags.`kdsearch.front` = 'true'")
    assert [run.data.tags["kdsearch.uid"] for run in front] == ["t0"]


def test_a_second_writer_goes_on_with_the_same_runs(open_writer: Open, client: MlflowClient) -> None:
    first = open_writer()
    one_trial(first, "t0")
    first.start_trial("t1", "cut short", CONFIG, {})
    assert first.close(30)
    before = {uid: run.info.run_id for uid, run in by_uid(client).items()}

    second = open_writer()
    second.start_trial("t1", "cut short", CONFIG, {})
    second.log_metrics("t1", {"accuracy": 0.8})
    second.end_trial("t1", "complete", {})
    one_trial(second, "t2")
    assert second.close(30)
    after = by_uid(client)
    assert len(by_uid(client, "search")) == 1
    assert {uid: after[uid].info.run_id for uid in before} == before
    assert sorted(after) == ["t0", "t1", "t2"]
    assert after["t1"].data.metrics["accuracy"] == 0.8


def test_what_a_run_says_already_is_not_told_again(
    open_writer: Open, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_writer()
    for uid in ("t0", "t1", "t2"):
        one_trial(first, uid)
    assert first.close(30)
    client.set_terminated(by_uid(client)["t1"].info.run_id, "KILLED")  # as if it had died half-way
    written: list[str] = []
    log_batch = MlflowClient.log_batch

    def counted(self: MlflowClient, run_id: str, *rest: Any, **values: Any) -> None:
        written.append(run_id)
        log_batch(self, run_id, *rest, **values)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    second = open_writer()
    one_trial(second, "t0")
    one_trial(second, "t1")
    one_trial(second, "t2", epochs=3)
    second.log_metrics("t2", {"accuracy": 0.95})
    second.end_trial("t2", "complete", {})
    assert second.close(30)
    found = by_uid(client)
    told = {uid for uid, run in found.items() if run.info.run_id in written}
    assert told == {"t1", "t2"}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert found["t2"].data.metrics["accuracy"] == 0.95


def test_a_search_can_begin_anew_under_an_old_name(open_writer: Open, client: MlflowClient) -> None:
    assert open_writer().close(30)
    assert open_writer(resume=False).close(30)
    assert len(by_uid(client, "search")) == 2


def test_what_is_refused_is_dropped_alone_and_told(
    open_writer: Open, client: MlflowClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = open_writer()
    writer.start_trial("t0", "a", CONFIG, {})
    writer.log_artifact("t0", tmp_path / "not there")
    assert not writer.close(30)
    again = open_writer()
    again.start_trial("t0", "a", {**CONFIG, "optim": {"lr": 0.2}}, {"other": "tag"})  # a param never changes
    again.log_epoch("t0", 0, {"loss": 1.0})
    assert not again.close(30)
    run = by_uid(client)["t0"]
    assert run.data.params["optim.lr"] == "0.1"
    assert run.data.tags["other"] == "tag"
    assert run.data.metrics["epoch/loss"] == 1.0
    assert "not there" in caplog.text
    assert "refuses params" in caplog.text


def test_infinite_metrics_are_left_out_and_nan_is_kept(open_writer: Open, client: MlflowClient) -> None:
    writer = open_writer()
    writer.log_epoch("t0", 0, {"loss": math.nan, "lr": math.inf, "acc@1": 0.5})
    assert writer.close(30)
    metrics = by_uid(client)["t0"].data.metrics
    assert math.isnan(metrics.pop("epoch/loss"))
    assert metrics == {"epoch/acc_1": 0.5}


def test_a_store_that_is_only_slow_is_waited_for(open_writer: Open, client: MlflowClient) -> None:
    writer = open_writer()
    writer.settle(60)
    for number in range(100):
        writer.start_trial(f"t{number}", "recipe", {f"p{i}": i for i in range(50)}, {})
        writer.log_metrics(f"t{number}", {"accuracy": 0.5})
        writer.end_trial(f"t{number}", "complete", {})
    began = time.monotonic()
    assert writer.close(1.0)
    assert time.monotonic() - began > 1.0
    assert len(by_uid(client)) == 100


def test_more_values_than_one_batch_holds(open_writer: Open, client: MlflowClient) -> None:
    writer = open_writer()
    writer.start_trial("t0", "many", {f"p{i}": i for i in range(250)}, {f"tag{i}": "x" for i in range(250)})
    for epoch in range(400):
        writer.log_epoch("t0", epoch, {"a": epoch, "b": 0, "c": 0})
    assert writer.close(60)
    run = by_uid(client)["t0"]
    assert len(run.data.params) == 250
    assert run.data.tags["tag249"] == "x"
    assert len(client.get_metric_history(run.info.run_id, "epoch/a")) == 400


def test_artifacts_are_stored_replaced_and_removed(
    open_writer: Open, client: MlflowClient, tmp_path: Path
) -> None:
    (tmp_path / "student.safetensors").write_bytes(b"weights")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "front.html").write_text("<html>")
    writer = open_writer()
    writer.log_artifact("t0", tmp_path / "student.safetensors", "model")
    writer.log_artifact("t1", tmp_path / "student.safetensors", "model")
    writer.log_artifact(None, tmp_path / "plots", "plots")
    writer.log_text(None, "old", "front.json")
    writer.log_text(None, "new", "front.json")
    writer.remove_artifact("t1", "model")
    writer.remove_artifact("t1", "never there")
    assert writer.close(30)

    def listed(run_id: str, folder: str | None = None) -> list[str]:
        return [item.path for item in client.list_artifacts(run_id, folder)]

    (parent,) = by_uid(client, "search").values()
    trials = by_uid(client)
    assert listed(parent.info.run_id) == ["front.json", "plots", "spec.yaml"]
    assert listed(parent.info.run_id, "plots") == ["plots/front.html"]
    assert listed(trials["t0"].info.run_id, "model") == ["model/student.safetensors"]
    assert listed(trials["t1"].info.run_id) == []
    folder = Path(client.download_artifacts(parent.info.run_id, "front.json", str(tmp_path)))
    assert folder.read_text() == "new"


def test_nothing_waits_for_a_locked_database_and_everything_arrives(
    open_writer: Open, uri: str, client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A second process that holds SQLite's lock, as a backup or a UI may."""
    writer = open_writer()
    writer.set_tags(None, {"before": "1"})
    while writer.pending:
        time.sleep(0.05)
    lock = sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("begin exclusive")
    began = time.monotonic()
    one_trial(writer, "t0")
    assert time.monotonic() - began < 0.1
    time.sleep(1)
    lock.execute("rollback")
    lock.close()
    assert writer.close(60)
    assert by_uid(client)["t0"].data.metrics["accuracy"] == 0.9


def test_a_server_that_never_answers_costs_nothing_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = Writer("http://me:hunter2@127.0.0.1:9", "project", "digits")
    began = time.monotonic()
    writer.start({}, {})
    for number in range(50):
        one_trial(writer, f"t{number}", epochs=100)
    assert time.monotonic() - began < 2
    time.sleep(8)
    began = time.monotonic()
    assert not writer.close(1)
    assert time.monotonic() - began < 1.5
    assert writer.pending > 5000
    told = [
        r.message for r in caplog.records if r.name == "kdsearch.tracking" and r.levelno >= logging.WARNING
    ]
    assert len(told) == 1
    assert "does not answer" in told[0]
    assert "hunter2" not in caplog.text


def test_a_store_that_can_never_work_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="plain folder"):
        Writer(str(tmp_path), "project", "digits")


def test_work_folds_to_its_last_values() -> None:
    work, later = Work(), Work()
    work.tags["front"] = "true"
    work.put(Text("front.json", "1"))
    later.tags["front"] = "false"
    later.put(Text("front.json", "2"))
    later.enter("complete")
    work.absorb(later)
    assert (work.tags, work.files, work.state) == ({"front": "false"}, [Text("front.json", "2")], "complete")
    assert len(work) == 3


def test_ten_epochs_cost_little(open_writer: Open, uri: str) -> None:
    """42 ms is the figure of the design; the bound here is loose, for busy machines."""
    writer = open_writer()
    while writer.pending:
        time.sleep(0.05)
    began = time.process_time()
    for number in range(40):
        one_trial(writer, f"t{number}", epochs=10)
    noted = time.process_time() - began
    while writer.pending:
        time.sleep(0.02)
    cost = (time.process_time() - began) / 40
    figures = f"a run of 10 epochs: {noted / 40 * 1e3:.2f} ms to note, {cost * 1e3:.0f} ms in all"
    assert noted / 40 < 0.02, figures
    assert cost < 0.3, figures
