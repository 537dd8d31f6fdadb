"""A teacher bank that is full, or that is cleared while it is written: it costs no trial."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch.data import Augment, Batches, Images, statistics
from kdsearch.distill import bank as banks
from kdsearch.distill.bank import Bank
from kdsearch.distill.resident import Resident
from kdsearch.distill.shelves import LOGITS, Shelves
from kdsearch.distill.teachers import TeacherStore
from kdsearch.spec import BankUse, load_spec
from tests.distill.test_bank import AUGMENT, CONTENT, HINT, asks, config_of, counting, curve, fill, shelf


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """What a function is given from now on, call by call."""
    real, calls = getattr(owner, name), list[Any]()

    def counting(*given: Any) -> Any:
        calls.append(given)
        return real(*given)

    monkeypatch.setattr(owner, name, counting)
    return calls


def test_cleared_between_the_first_rows_and_the_last_a_view_is_dropped(tmp_path: Path):
    target, rows = shelf(tmp_path), torch.ones(4, 3)
    target.write(0, 0, rows[:3])
    shutil.rmtree(tmp_path)
    target.write(0, 3, rows[3:])
    assert not target.has(0)
    with (tmp_path.parent / "other").open("w") as other:  # it may get the number of the file that was closed
        target.close()
        other.write("still open")
    rows = fill(target)
    assert torch.equal(shelf(tmp_path).read(0, slice(0, 4)), rows)


def test_cleared_and_begun_by_another_a_view_is_the_other_s(tmp_path: Path):
    first, rows = shelf(tmp_path), torch.ones(4, 3)
    first.write(0, 0, rows[:3])
    shutil.rmtree(tmp_path)
    second = shelf(tmp_path)
    second.write(0, 0, 2 * rows[:3])
    first.write(0, 3, rows[3:])
    first.begin(1)
    first.close()
    assert not shelf(tmp_path).has(0)
    second.write(0, 3, 2 * rows[3:])
    assert torch.equal(shelf(tmp_path).read(0, slice(0, 4)), 2 * rows)


def test_what_is_removed_while_it_is_opened_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fill(shelf(tmp_path))
    real = banks._whole

    def then_removed(*given: Any) -> bool:
        whole = real(*given)
        shutil.rmtree(tmp_path)
        return whole

    monkeypatch.setattr(banks, "_whole", then_removed)
    assert shelf(tmp_path).read(0, slice(0, 4)) is None


@pytest.mark.parametrize("augment", [AUGMENT, {}])
def test_a_training_beside_which_the_bank_is_cleared_is_the_same(tmp_path: Path, augment: dict[str, Any]):
    data = {**CONTENT["data"], "augment": augment}
    session, config = config_of(tmp_path, asks("loss", "kd"), data=data, bank={"enabled": False})
    expected = curve(session, config, tmp_path)
    session, config = config_of(tmp_path, asks("loss", "kd"), data=data)
    cleared = 0

    def clear(*_: object) -> None:
        nonlocal cleared
        if list(tmp_path.glob("bank/*/view-*")):
            cleared += 1
            Bank(tmp_path / "bank", 0).clear()

    handle = session.resident.teacher(config, "flat").register_forward_pre_hook(clear)
    assert curve(session, config, tmp_path) == expected and cleared > 1
    handle.remove()
    curve(session, config, tmp_path)
    since = counting(session, config, "flat")
    assert curve(session, config, tmp_path) == expected and since() == 0


def test_a_disk_without_room_is_not_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    reserved = counted(monkeypatch, os, "posix_fallocate")
    rows = shutil.disk_usage(tmp_path).free // 12 + 10**6
    target = shelf(tmp_path, rows=rows, limit=10**18)
    for view in range(3):
        target.write(view, 0, torch.ones(1, 3))
    assert not reserved
    assert caplog.text.count("no room left on its disk") == 1


def test_a_training_past_the_limit_runs_its_teachers_and_is_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    session, config = config_of(tmp_path, asks("loss", "kd"), bank={"enabled": False})
    expected = curve(session, config, tmp_path)
    images = 256 * (len(session.resident.splits(config).train) // 256)
    session, config = config_of(
        tmp_path, asks("loss", "kd"), bank={"dtype": "fp32", "bytes": 3 * (40 * images + 8)}
    )
    runs = [counting(session, config, name) for name in ("wide", "flat")]
    assert curve(session, config, tmp_path) == expected
    assert len(list(tmp_path.glob("bank/*/view-*"))) == 3  # of two teachers in two views
    assert sum(since() for since in runs) == 4 * images / 256
    assert curve(session, config, tmp_path) == expected
    assert sum(since() for since in runs) == images / 256
    assert caplog.text.count("is full: bank.bytes") == 1


def test_a_full_bank_is_counted_once_a_training_where_images_have_one_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    data = {"source": "digits", "batch_size": 100, "validation": 0.5}
    session, config = config_of(
        tmp_path, asks("loss", "kd"), data=data, bank={"dtype": "fp32", "bytes": 1000}
    )
    counts = counted(monkeypatch, Bank, "used")
    curve(session, config, tmp_path)
    assert len(counts) == 2  # one for each teacher
    assert caplog.text.count("is full: bank.bytes") == 1


def test_features_leave_room_for_logits(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    images = Images(torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1), torch.zeros(8, dtype=torch.long))
    mean, std = statistics(images)
    loop = Batches(images, batch_size=8, augment=Augment(flip=True), mean=mean, std=std, seed=0)
    bank = Bank(tmp_path, 1100)  # ten views of 8 · 3 · 4 + 8 bytes each
    outputs = {("t", "layer"): (3,), ("t", LOGITS): (3,)}
    kept = Shelves(bank, BankUse(dtype="fp32"), outputs, {"t": {"teacher": "t"}}, loop)
    runs: list[list[str]] = []

    def run(name: str, images: torch.Tensor, layers: list[str]) -> dict[str, torch.Tensor]:
        runs.append(layers)
        return {layer: torch.ones(len(images), 3) for layer in layers}

    for layer in ("layer", LOGITS):
        for epoch in range(12):
            kept.answer("t", [layer], next(iter(loop.epoch(epoch))), run)
    assert (len(runs), bank.used()) == (24, 10 * 104)
    runs.clear()
    kept.answer("t", [LOGITS], next(iter(loop.epoch(0))), run)
    assert not runs
    assert caplog.text.count("to features") == caplog.text.count("to outputs") == 1


def test_workers_that_share_a_gpu_share_what_may_lie_in_its_memory(tmp_path: Path):
    spec = load_spec(
        {
            "data": {"source": "digits"},
            "student": "mlp",
            "compute": {"gpus_per_worker": 0.25},
            "bank": {"device_bytes": 4 * 48},
        }
    )
    # Of a device that is not there a tensor still says that it lies on it.
    bank = Resident(TeacherStore(tmp_path / "teachers"), torch.device("meta")).bank(spec)
    assert bank is not None
    target = bank.shelf({"teacher": "t"}, (4, 3), torch.float32)
    for view in range(2):
        fill(target, view)
    assert [target.read(view, slice(0, 4)).device.type for view in range(2)] == ["meta", "cpu"]


def test_features_leave_room_for_logits_in_the_memory_of_a_gpu(tmp_path: Path):
    bank = Bank(tmp_path, 10**6, torch.device("meta"), device_limit=10 * 48)
    placed = {}
    for kind, share in (("feature", 0.9), ("logits", 1.0)):
        target = bank.shelf({"teacher": "t", "layer": kind}, (4, 3), torch.float32, share)
        for view in range(12):
            fill(target, view)
        placed[kind] = [target.read(view, slice(0, 4)).device.type for view in range(12)].count("meta")
    assert placed == {"feature": 9, "logits": 1}


def test_a_teacher_that_only_hints_is_read_beside_one_whose_gradient_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "kdsearch")
    losses = {"ce": {}, "attention_gradient": {"weight": 0.1}, "hint": HINT}
    distill = {"teachers": {"members": ["flat"]}, "losses": losses}
    session, config = config_of(tmp_path, distill)
    wide, flat = (counting(session, config, name) for name in ("wide", "flat"))
    first, ran = curve(session, config, tmp_path), (wide(), flat())
    again, ran_again = curve(session, config, tmp_path), (wide(), flat())
    session, config = config_of(tmp_path, distill, bank={"enabled": False})
    assert first == again == curve(session, config, tmp_path)
    assert ran_again[0] <= 3 < ran[0]  # the layers of a model are read off a pass or two
    assert ran_again[1] == ran[1] > 3
    assert caplog.text.count("'flat' is run, not read from the bank: a loss asks for its gradients") == 1
    assert "'wide' is run" not in caplog.text


def test_a_training_is_the_same_with_the_largest_logits_read_or_computed(tmp_path: Path):
    bank = {"dtype": "fp32", "topk": 3}
    session, config = config_of(tmp_path, asks("loss", "kd"), bank=bank)
    since = counting(session, config, "wide")
    filled, ran = curve(session, config, tmp_path), since()
    read, ran_again = curve(session, config, tmp_path), since()
    assert filled == read and ran > ran_again == 0
    session, config = config_of(tmp_path, asks("loss", "kd"), bank={**bank, "bytes": 0})
    shutil.rmtree(tmp_path / "bank")
    assert curve(session, config, tmp_path) == filled
    session, config = config_of(tmp_path, asks("loss", "kd"), bank={"enabled": False})
    whole = [metrics["loss"] for metrics in curve(session, config, tmp_path)]
    cut = [metrics["loss"] for metrics in filled]
    assert cut != whole and cut == pytest.approx(whole, rel=0.02)
