"""What is read back of trials whose files were cut short at any place."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import small_spec

from kdsearch.space import RandomTrial, canonical, fingerprint, sample
from kdsearch.spec import load_spec
from kdsearch.tune.records import (
    EPOCHS,
    RESULT,
    TRIAL,
    Record,
    read_epochs,
    read_records,
    write_epoch,
    write_result,
    write_trial,
)


def written(trials: Path) -> Record:
    """A trial of two epochs that is complete."""
    content = small_spec(trials, teachers={}, distill={"losses": {"ce": {"weight": {"float": [0.1, 1]}}}})
    config = canonical(sample(load_spec(content), RandomTrial(0)))
    uid = fingerprint(config)
    record = Record(uid, 0, config, params={"x": 1.0}, began=5)
    write_trial(trials / uid, record)
    for epoch in (1, 2):
        write_epoch(trials / uid, 10 * epoch, {"epoch": epoch, "loss": float("nan")})
    record.state, record.metrics, record.epochs, record.ended = "complete", {"accuracy": 0.5}, 2, 30
    write_result(trials / uid, record)
    return record


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = written(tmp_path)
    assert read_records(tmp_path) == [record]
    assert [epoch["epoch"] for epoch in read_epochs(tmp_path / record.uid)] == [1, 2]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_a_result_that_is_cut_short_leaves_a_trial_that_runs_again(share, tmp_path):
    record = written(tmp_path)
    path = tmp_path / record.uid / RESULT
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    (found,) = read_records(tmp_path, repair=True)
    assert found.unfinished and found.epochs == 2 and (found.number, found.params) == (0, record.params)
    assert not path.exists()


def test_a_result_of_another_config_is_not_trusted(tmp_path):
    record = written(tmp_path)
    path = tmp_path / record.uid / RESULT
    path.write_text(path.read_text().replace('"lr": 0.1', '"lr": 0.2'))
    (found,) = read_records(tmp_path, repair=True)
    assert found.unfinished


def test_a_trial_of_which_nothing_is_whole_is_gone(tmp_path):
    record = written(tmp_path)
    for name in (TRIAL, RESULT):
        (tmp_path / record.uid / name).write_text("{")
    assert read_records(tmp_path, repair=True) == [] and not list(tmp_path.glob("*/"))


def test_an_epoch_that_is_cut_short_is_taken_away_and_the_next_stands_on_its_own(tmp_path):
    folder = tmp_path / written(tmp_path).uid
    path = folder / EPOCHS
    path.write_bytes(path.read_bytes()[:-4])
    assert len(read_epochs(folder, repair=True)) == 1
    write_epoch(folder, 50, {"epoch": 2, "loss": 1.0})
    assert [epoch["time"] for epoch in read_epochs(folder)] == [10, 50]


def test_a_look_from_outside_changes_nothing(tmp_path):
    folder = tmp_path / written(tmp_path).uid
    (folder / "result.json.part").write_text("{")
    (folder / RESULT).write_text("{")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    read_records(tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
