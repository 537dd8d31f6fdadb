from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kdsearch.errors import InputError
from kdsearch.tracking import Writer, download, read_search, search_names

Open = Callable[..., Writer]


def test_a_search_is_read_as_it_was_written(open_writer: Open, uri: str, tmp_path: Path) -> None:
    small = {"optim": {"lr": 0.1}, "student": {"hidden": [8, 8]}}
    large = {"text": "x" * 9000, **small}
    (tmp_path / "model.bin").write_bytes(b"1")
    writer = open_writer()
    writer.start_trial("b", "second", large, {"kdsearch.number": "1", "kdsearch.baseline": "labels"})
    writer.start_trial("a", "first", small, {"kdsearch.number": "0"})
    writer.log_epoch("a", 0, {"accuracy": 0.1})
    writer.log_metrics("a", {"accuracy": 0.9})
    writer.end_trial("a", "complete", {"kdsearch.front": "true", "kdsearch.device": "a CPU"})
    writer.end_trial("b", "failed", {"kdsearch.reason": "out of memory"})
    writer.log_artifact("a", tmp_path / "model.bin", "model")
    writer.end("stopped")
    assert writer.close(30)

    record = read_search(uri, "digits")
    assert (record.name, record.state, record.spec) == ("digits", "stopped", "name: digits\n")
    first, second = record.trials.to_dict("records")
    assert (first["uid"], first["recipe"], first["state"], first["front"]) == ("a", "first", "complete", True)
    assert (second["baseline"], second["reason"], second["front"]) == ("labels", "out of memory", False)
    assert (first["config"], second["config"]) == (small, large)
    assert first["accuracy"] == 0.9 and first["device"] == "a CPU" and "governor" not in first
    assert not [column for column in record.trials if "/" in str(column)]
    found = download(uri, str(first["run_id"]), "model", tmp_path / "fetched")
    assert (found / "model.bin").read_bytes() == b"1"
    with pytest.raises(InputError, match="no artifact 'other'"):
        download(uri, str(first["run_id"]), "other", tmp_path / "fetched")


def test_the_newest_of_one_name_wins_and_names_are_told_once(open_writer: Open, uri: str) -> None:
    for number, search in enumerate(("digits", "it's", "digits")):
        writer = open_writer(search, resume=False)
        writer.start_trial(f"t{number}", "x", {}, {})
        assert writer.close(30)
    assert search_names(uri) == ["digits", "it's"]
    assert [*read_search(uri, "digits").trials["uid"]] == ["t2"]
    assert [*read_search(uri, "it's").trials["uid"]] == ["t1"]


def test_a_search_without_trials_has_an_empty_table(open_writer: Open, uri: str) -> None:
    assert open_writer().close(30)
    trials = read_search(uri, "digits").trials
    assert len(trials) == 0
    assert "front" in trials


def test_more_trials_than_a_page(open_writer: Open, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdsearch.tracking.client.PAGE", 3)
    writer = open_writer()
    for number in range(8):
        writer.start_trial(f"t{number}", "x", {}, {"kdsearch.number": str(number)})
    assert writer.close(30)
    assert [*read_search(uri, "digits").trials["number"]] == [*range(8)]
    again = open_writer()
    for number in range(8):
        again.set_tags(f"t{number}", {"seen": "twice"})
    assert again.close(30)
    assert len(read_search(uri, "digits").trials) == 8


def test_an_unknown_name_is_answered_with_the_nearest(open_writer: Open, uri: str) -> None:
    assert open_writer().close(30)
    with pytest.raises(InputError, match=r"no search 'digit' .*did you mean 'digits'"):
        read_search(uri, "digit")


def test_looking_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no MLflow store"):
        search_names(f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "other.db").write_bytes(b"")
    with pytest.raises(InputError, match="no table of runs"):
        search_names(f"sqlite:///{tmp_path}/other.db")
    (tmp_path / "other.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match="is not an MLflow store"):
        search_names(f"sqlite:///{tmp_path}/other.db")
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


def test_a_server_that_is_not_there_is_said_to_be_so() -> None:
    with pytest.raises(InputError, match="cannot be read") as raised:
        search_names("http://me:hunter2@127.0.0.1:9")
    assert "hunter2" not in str(raised.value)
