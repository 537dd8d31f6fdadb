"""What a ledger takes up of an earlier run, without Ray."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from safetensors.torch import save_file
from small import small_spec
from torch import zeros

from kdsearch.filenames import CHECKPOINT, WEIGHTS
from kdsearch.files import replacing
from kdsearch.space import RandomTrial, canonical, fingerprint, sample
from kdsearch.spec import load_spec
from kdsearch.tracking import Writer
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.records import INTERRUPTED, RESULT, read_records
from kdsearch.tune.status import status


@pytest.fixture
def open_ledger(tmp_path):
    """Opens the ledger of a folder, as every run of a search does."""

    def opened() -> Ledger:
        writer = Writer(f"sqlite:///{tmp_path}/mlflow.db", "test", "test")
        folder = tmp_path / "searches/test"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.yaml").touch()
        objectives = {"accuracy": "maximize", "latency_ms": "minimize"}
        return Ledger(objectives, [], folder, writer)

    return opened


def configs(folder: Path) -> list[dict]:
    losses = {"losses": {"ce": {"weight": {"float": [0.1, 1]}}}}
    spec = load_spec(small_spec(folder, teachers={}, distill=losses))
    return [canonical(sample(spec, RandomTrial(seed))) for seed in range(4)]


def run(ledger: Ledger, config: dict, metrics: Mapping[str, float]) -> str:
    """A trial that is complete, as its worker and the search leave it."""
    uid = fingerprint(config)
    ledger.start(uid, config, "")
    save_file({"weight": zeros(1)}, ledger.trial_folder(uid) / WEIGHTS)
    ledger.end(uid, "complete", metrics)
    return uid


def test_a_trial_that_was_dominated_stays_complete_when_what_drove_it_out_is_measured_anew(
    open_ledger, tmp_path
):
    ledger = open_ledger()
    never, left, member = (
        run(ledger, config, {"accuracy": accuracy, "latency_ms": latency})
        for config, accuracy, latency in zip(
            configs(tmp_path), (0.5, 0.7, 0.9), (2.0, 1.0, 1.0), strict=False
        )
    )
    assert ledger.front.keys == (member,)
    ledger.remeasure(member, {"latency_ms": 3.0})
    ledger.rebuild_front()
    again = open_ledger()
    again.restore(rerun=True)
    assert again.front.keys == (member,)
    assert [again[uid].state for uid in (never, left, member)] == ["complete"] * 3


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"cut")])
def test_a_member_whose_weights_are_lost_runs_again(damage, open_ledger, tmp_path):
    ledger = open_ledger()
    member = run(ledger, configs(tmp_path)[0], {"accuracy": 0.9, "latency_ms": 1.0})
    damage(ledger.trial_folder(member) / WEIGHTS)
    again = open_ledger()
    again.restore(rerun=True)
    assert again[member].unfinished
    again.start(member, again[member].config, "")
    assert not (again.trial_folder(member) / RESULT).exists()


def test_a_member_without_weights_is_told_of_as_it_was(open_ledger, tmp_path):
    ledger = open_ledger()
    member = run(ledger, configs(tmp_path)[0], {"accuracy": 0.9, "latency_ms": 1.0})
    (ledger.trial_folder(member) / WEIGHTS).unlink()
    again = open_ledger()
    again.restore(rerun=False)
    assert again[member].state == "complete" and again.front.keys == (member,)


def test_a_trial_that_goes_on_is_running_and_its_learning_curve_is_whole(open_ledger, tmp_path):
    ledger, config = open_ledger(), configs(tmp_path)[0]
    uid = fingerprint(config)
    ledger.start(uid, config, "")
    for epoch in (1, 2):
        ledger.epoch(uid, {"epoch": epoch, "loss": 1 / epoch, "accuracy": 0.5, "lr": 0.1})
    ledger.end(uid, "stopped", {}, "the search was stopped")
    again = open_ledger()
    again.restore(rerun=True)
    again.start(uid, config, "")
    assert [record.uid for record in status("test", tmp_path).running] == [uid]
    again.epoch(uid, {"epoch": 3, "loss": 0.3, "accuracy": 0.6})
    assert [point["loss"] for point in again[uid].curve] == [1.0, 0.5, 0.3]
    (killed,) = read_records(again.folder / "trials")
    assert [point["loss"] for point in killed.curve] == [1.0, 0.5, 0.3]


def test_numbers_go_on_after_the_last_one_though_trials_before_it_are_lost(open_ledger, tmp_path):
    ledger, (one, two, three, _) = open_ledger(), configs(tmp_path)
    lost = run(ledger, one, {"accuracy": 0.5, "latency_ms": 1.0})
    run(ledger, two, {"accuracy": 0.6, "latency_ms": 1.0})
    for path in ledger.trial_folder(lost).iterdir():
        path.unlink()
    again = open_ledger()
    again.restore(rerun=True)
    assert again.start(fingerprint(three), three, "").number == 2


def test_what_a_killed_worker_had_begun_to_write_goes_with_the_end_of_its_trial(open_ledger, tmp_path):
    ledger, config = open_ledger(), configs(tmp_path)[0]
    record = ledger.start(fingerprint(config), config, "")
    with replacing(ledger.trial_folder(record.uid) / CHECKPOINT) as part:
        part.write_bytes(b"half")
        ledger.end(record.uid, "stopped", {}, INTERRUPTED)
        assert part.exists()  # it goes on when it is resumed
        ledger.end(record.uid, "complete", {"accuracy": 0.9, "latency_ms": 1.0})
        assert not part.exists()
        part.touch()
