"""What tells two outputs in the teacher bank apart, and what does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kdsearch import models
from kdsearch.distill.banked import shelves
from kdsearch.distill.run import make_batches
from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.distill.shelves import LOGITS
from kdsearch.distill.worker import Worker
from kdsearch.spec import load_spec
from tests.distill.test_bank import asks, config_of, counting

FLIP: dict[str, Any] = {"augment": {"flip": True}}
MODEL = """
from torch import nn

def mine(shape, classes, *, activation="relu"):
    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh}
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), kinds[activation](), nn.Linear(16, classes))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With a model that has an option without parameters, and two files of weights for it."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "banked_model.py").write_text(MODEL, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        for seed in (0, 1):
            model = models.build({"name": "banked_model:mine"}, (1, 8, 8), 10, seed=seed)
            models.save_weights(model, folder / f"{seed}.safetensors")
        yield folder
    sys.modules.pop("banked_model", None)


def trained(folder: Path, *, name: str = "t", repeat: int = 0, **changes: Any) -> tuple[set[str], int]:
    """The folders in the bank after a trial, and how often the teacher was run for it."""
    model = {"name": "banked_model:mine", **changes.get("model", {})}
    weights = folder / changes.get("weights", "0.safetensors")
    config = load_spec(
        {
            "data": {"source": "digits", "batch_size": 256, "validation": 0.5, **changes.get("data", FLIP)},
            "teachers": {name: {"model": model, "weights": str(weights)}},
            "student": {"name": "mlp", "hidden": [8]},
            "distill": {"teachers": {"members": [name]}, "losses": {"kd": {}}},
            "optim": {"name": "sgd", "epochs": 1, **changes.get("optim", {})},
            "bank": {"dtype": "fp32", **changes.get("bank", {})},
            "compute": {"storage": str(folder / "store")},
        }
    )
    session = Session(folder / "store", local_worker(config))
    ensure_teachers(config, session, lambda name, text: None)
    since = counting(session, config, name)
    session.trial(config, folder / "trial", lambda metrics: True, repeat=repeat)
    return {path.parent.name for path in (folder / "store/bank").glob("*/view-*")}, since()


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {**FLIP, "validation": 0.4}},
        {"data": {"augment": {"flip": True, "crop": 1}}},
        {"data": {"augment": {}}},
        {"data": {**FLIP, "batch_size": 128}},
        {"optim": {"precision": "bf16"}},
        {"bank": {"dtype": "fp16"}},
        {"bank": {"topk": 2}},
        {"model": {"activation": "tanh"}},
        {"weights": "1.safetensors"},
        {"repeat": 1},
    ],
    ids=["images", "views", "plain", "batch", "precision", "dtype", "topk", "model", "weights", "seed"],
)
def test_whatever_changes_an_output_gives_it_another_place(folder: Path, changes: dict[str, Any]):
    before, _ = trained(folder)
    after, ran = trained(folder, **changes)
    assert len(after - before) == 1 and ran > 0
    assert trained(folder, **changes) == trained(folder) == (after, 0)


def test_a_teacher_under_another_name_reads_what_it_said_under_the_first(folder: Path):
    before, _ = trained(folder)
    assert trained(folder, name="renamed") == (before, 0)


def test_each_of_two_workers_reads_its_own_share(tmp_path: Path):
    session, config = config_of(tmp_path, asks("loss", "kd"))
    resident = session.resident
    teacher, splits = resident.teacher(config, "wide"), resident.splits(config)
    runs = 0

    def run(name: str, images: Any, layers: list[str]) -> dict[str, Any]:
        nonlocal runs
        runs += 1
        return {LOGITS: teacher(images)}

    for turn in range(2):
        for rank in range(2):
            worker = Worker(session.worker.device, rank=rank, world_size=2)
            loop = make_batches(config, splits, worker)
            kept = shelves(config, "fp32", resident, loop, worker, {("wide", LOGITS): (10,)})
            assert kept is not None
            runs = 0
            for batch in loop.epoch(0):
                said = kept.answer("wide", [LOGITS], batch, run)[LOGITS]
                assert said.equal(teacher(batch.images)) and len(said) == 128
            assert runs == (0 if turn else len(loop))
    assert len(list(tmp_path.glob("bank/*/view-0"))) == 2
