"""A real `mlflow server`, killed and frozen while a search writes to it."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from kdsearch.tracking import Writer, read_search
from tests.tracking.conftest import Server

CONFIG = {"optim": {"lr": 0.1, "epochs": 5}}


@pytest.mark.slow
def test_a_server_that_dies_and_hangs_has_everything_once_in_the_end(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    (tmp_path / "student.bin").write_bytes(b"weights")
    writer = Writer(server.uri, "project", "digits")
    writer.start({}, {"spec.yaml": "name: digits\n"})
    slowest = 0.0
    for number in range(60):
        match number:
            case 15:
                server.kill()
            case 25:
                server.start()
            case 35:
                settle(writer)
                server.freeze()
            case 50:
                time.sleep(5)  # a creation times out, and is done by the server all the same
                server.thaw()
        began = time.monotonic()
        uid = f"t{number}"
        writer.start_trial(uid, f"recipe {number}", CONFIG, {"kdsearch.number": str(number)})
        for epoch in range(5):
            writer.log_epoch(uid, epoch, {"loss": epoch, "accuracy": 0.5})
        writer.log_metrics(uid, {"accuracy": number / 60})
        writer.end_trial(uid, "complete", {"kdsearch.front": "true"})
        if number % 10 == 0:
            writer.log_artifact(uid, tmp_path / "student.bin", "model")
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.02)
    writer.remove_artifact("t0", "model")
    writer.end("complete")
    assert writer.close(90)
    assert slowest < 0.5

    record = read_search(server.uri, "digits")
    assert record.state == "complete"
    assert record.spec == "name: digits\n"
    assert [*record.trials["number"]] == [*range(60)]
    assert [*record.trials["accuracy"]] == [number / 60 for number in range(60)]
    client = MlflowClient(server.uri)
    runs = client.search_runs([record.experiment_id], "tags.`kdsearch.front` = 'true'")
    assert len(runs) == 60
    for run in runs:
        assert run.info.status == "FINISHED"
        assert [p.value for p in client.get_metric_history(run.info.run_id, "epoch/loss")] == [0, 1, 2, 3, 4]
    stored = {run.data.tags["kdsearch.uid"]: client.list_artifacts(run.info.run_id) for run in runs}
    assert sorted(uid for uid, files in stored.items() if files) == ["t10", "t20", "t30", "t40", "t50"]
    told = [
        r.message for r in caplog.records if r.name == "kdsearch.tracking" and r.levelno >= logging.WARNING
    ]
    assert [message.split(" ", 3)[3].split(";")[0].split("(")[0].strip() for message in told] == [
        "does not answer",
        "answers again",
        "does not answer",
        "answers again",
    ]


@pytest.mark.slow
def test_what_a_server_answers_with_500_arrives_when_it_is_well(uri: str, tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        with server.failing():
            writer = Writer(server.uri, "project", "digits")
            writer.start({}, {})
            for number in range(5):
                writer.start_trial(f"t{number}", "recipe", CONFIG, {"kdsearch.number": str(number)})
                writer.log_metrics(f"t{number}", {"accuracy": number})
                writer.end_trial(f"t{number}", "complete", {})
            time.sleep(3)
            assert writer.pending
        writer.end("complete")
        assert writer.close(60)
        record = read_search(server.uri, "digits")
        assert [*record.trials["accuracy"]] == [*range(5)] and record.state == "complete"
    finally:
        server.kill()


def settle(writer: Writer) -> None:
    while writer.pending:
        time.sleep(0.05)
