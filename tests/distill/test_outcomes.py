"""Logits for all ways in which an image can be seen: read by every seed, trusted row by row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.data import Augment, Batches, Images, statistics
from kdsearch.distill.bank import Bank
from kdsearch.distill.banked import shelves
from kdsearch.distill.outcomes import Outcomes, outcomes
from kdsearch.distill.run import make_batches
from kdsearch.distill.shelves import LOGITS, Shelves
from kdsearch.distill.worker import Worker
from kdsearch.errors import InputError
from kdsearch.spec import BankUse, load_spec
from tests.distill.test_bank import CONTENT, HINT, asks, config_of, counting, curve

FLIP: dict[str, Any] = {**CONTENT["data"], "augment": {"flip": True}}
ROWS, WIDTH = 300, 5


def kept(folder: Path, dtype: torch.dtype = torch.float16, limit: int = 10**6) -> Outcomes | None:
    return outcomes(Bank(folder, limit), {"teacher": "t"}, (ROWS, WIDTH), dtype)


def rows(keys: torch.Tensor, dtype: torch.dtype = torch.float16) -> torch.Tensor:
    """What is written under some numbers, so that a reader can tell what should be there."""
    return (keys[:, None] * 0.25 + torch.arange(WIDTH)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_what_one_writes_every_other_reads_and_the_rest_is_not_there(tmp_path: Path, dtype: torch.dtype):
    one, other = kept(tmp_path, dtype), kept(tmp_path, dtype)
    keys = torch.tensor([7, 0, 299])
    one.write(keys, rows(keys, dtype))
    values, there = other.read(torch.arange(ROWS))
    assert there.nonzero()[:, 0].tolist() == [0, 7, 299]
    assert torch.equal(values[keys], rows(keys, dtype))


def test_a_damaged_row_alone_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    keys = torch.arange(ROWS)
    kept(tmp_path).write(keys, rows(keys))
    (path,) = tmp_path.glob("*/view-all")
    data, size = bytearray(path.read_bytes()), 2 * WIDTH + 4
    rng = np.random.default_rng(0)
    damaged = rng.choice(ROWS, 100, replace=False)
    for row in damaged:  # one bit each, anywhere in it
        data[row * size + rng.integers(size)] ^= 1 << rng.integers(8)
    path.write_bytes(data)
    again = kept(tmp_path)
    values, there = again.read(keys)
    assert sorted((~there).nonzero()[:, 0].tolist()) == sorted(damaged.tolist())
    assert torch.equal(values[there], rows(keys)[there])
    assert caplog.text.count("damaged") == 1
    again.write(keys[~there], rows(keys)[~there])
    assert again.read(keys)[1].all()


def test_a_row_in_the_place_of_another_is_not_trusted(tmp_path: Path):
    keys = torch.arange(ROWS)
    kept(tmp_path).write(keys, rows(keys))
    (path,) = tmp_path.glob("*/view-all")
    data, size = path.read_bytes(), 2 * WIDTH + 4
    path.write_bytes(data[size:] + data[:size])
    assert not kept(tmp_path).read(keys)[1].any()


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b""])
def test_a_file_of_another_size_is_made_anew(tmp_path: Path, damage: Any):
    keys = torch.arange(ROWS)
    kept(tmp_path).write(keys, rows(keys))
    (path,) = tmp_path.glob("*/view-all")
    path.write_bytes(damage(path.read_bytes()))
    again = kept(tmp_path)
    assert not again.read(keys)[1].any()
    again.write(keys, rows(keys))
    assert kept(tmp_path).read(keys)[1].all()


WRITER = """
import sys, torch
from pathlib import Path
from tests.distill.test_outcomes import ROWS, kept, rows
held = kept(Path(sys.argv[1]))
print("ready", flush=True)
draw = torch.Generator().manual_seed(int(sys.argv[2]))
for turn in range(int(sys.argv[3])):
    keys = torch.randint(ROWS, (64,), generator=draw)
    held.write(keys, rows(keys))
"""


def writer(folder: Path, seed: int, turns: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(seed), str(turns)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_what_is_read_beside_two_writers_of_which_one_is_killed_is_right(tmp_path: Path):
    killed, other = writer(tmp_path, 1, 10**9), writer(tmp_path, 2, 3000)
    held, keys = kept(tmp_path), torch.arange(ROWS)
    try:
        for process in (killed, other):
            assert process.stdout.readline() == "ready\n"
        for turn in range(200):
            values, there = held.read(keys)
            assert torch.equal(values[there], rows(keys)[there])
            if turn == 100:
                killed.kill()
        assert other.wait(60) == 0
    finally:
        for process in (killed, other):
            process.kill()
            process.wait()
    values, there = kept(tmp_path).read(keys)
    assert there.sum() >= ROWS - 64  # what the killed one was at
    assert torch.equal(values[there], rows(keys)[there])


def test_who_makes_the_file_and_dies_leaves_nothing_that_stays(tmp_path: Path):
    bank = Bank(tmp_path, 10**6)
    held = kept(tmp_path)
    (path,) = tmp_path.glob("*/view-all")
    path.rename(path.with_suffix(".part"))  # as it is before it takes its place
    assert not Bank(tmp_path, 10**6).used()
    assert bank.entries()[0].views == 0
    keys = torch.arange(3)
    held.write(keys, rows(keys))  # into what is no longer there
    assert not kept(tmp_path).read(keys)[1].any()


def test_without_room_there_are_none(tmp_path: Path):
    assert kept(tmp_path, limit=ROWS * (2 * WIDTH + 4) - 1) is None
    assert kept(tmp_path, limit=ROWS * (2 * WIDTH + 4)) is not None


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path):
    code = (
        "import logging, resource, sys; from pathlib import Path\n"
        "from tests.distill.test_outcomes import kept\n"
        "logging.basicConfig(format='%(message)s')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "print(kept(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    folder = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout.strip() == "None"
    assert done.stderr.count("cannot be written") == 1
    assert not list(tmp_path.glob("*/view-*"))


@pytest.mark.parametrize("augment", [Augment(crop=2, flip=True), Augment(crop=1), Augment(flip=True)])
def test_every_view_has_a_number_and_every_number_a_view(augment: Augment):
    numbers = torch.arange(augment.num_outcomes)
    assert torch.equal(augment.number(augment.view(numbers)), numbers)
    drawn = augment.draw(5000, (3, 6, 6), torch.Generator().manual_seed(0))
    assert augment.number(drawn).unique().tolist() == numbers.tolist()
    assert Augment(crop=4, flip=True).num_outcomes == 162 and Augment(crop=4, cutout=3).num_outcomes == 0


@pytest.mark.parametrize("rank", [0, 1])
def test_numbers_show_what_an_epoch_shows(rank: int):
    images = Images(torch.randint(0, 256, (50, 3, 6, 7), dtype=torch.uint8), torch.arange(50) % 5)
    mean, std = statistics(images)
    augment = Augment(crop=2, flip=True)
    given: dict[str, Any] = {"augment": augment, "mean": mean, "std": std, "rank": rank, "world_size": 2}
    loop = Batches(images, batch_size=16, seed=3, **given)
    keys = loop.keys(4)
    seen = torch.cat([batch.images for batch in loop.epoch(4)])
    assert torch.equal(loop.images_for(keys), seen)
    assert keys.max() < len(images) * loop.num_outcomes and len(keys.unique()) == loop.rows


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_a_training_is_the_same_with_all_outcomes_kept(tmp_path: Path, dtype: str):
    curves = {}
    for name, bank in {
        "all": {"outcomes": True},
        "views": {"outcomes": False},
        "off": {"enabled": False},
    }.items():
        session, config = config_of(tmp_path, asks("loss", "kd"), data=FLIP, bank={"dtype": dtype, **bank})
        since = counting(session, config, "wide")
        curves[name] = [metrics["loss"] for metrics in curve(session, config, tmp_path)]
        assert since() > 0
        again = [metrics["loss"] for metrics in curve(session, config, tmp_path)]
        assert again == curves[name]
        assert (since() > 0) == (name == "off")
    assert curves["all"] == pytest.approx(curves["views"], rel=1e-3 if dtype == "fp16" else 1e-6)
    assert curves["all"] == pytest.approx(curves["off"], rel=1e-3 if dtype == "fp16" else 1e-6)


def test_another_seed_reads_what_the_first_has_left(tmp_path: Path):
    given: dict[str, Any] = {"data": FLIP, "optim": {"name": "sgd", "epochs": 8}}
    runs = {}
    for kind in (True, False):
        folder = tmp_path / str(kind)
        session, config = config_of(folder, asks("loss", "kd"), **given, bank={"outcomes": kind})
        since = counting(session, config, "wide")
        session.trial(config, folder / "trial", lambda metrics: True)
        first = since()
        session.trial(config, folder / "trial", lambda metrics: True, repeat=1)
        runs[kind] = first, since()
    steps = 8 * (len(session.resident.splits(config).train) // 256)
    assert runs[False] == (steps, steps)
    # Two ways to see an image: half of it is new in the second epoch, a quarter in the third, …
    assert runs[True][0] < steps * 2 / 3 and runs[True][1] <= 8


def test_another_number_of_workers_reads_what_the_first_has_left(tmp_path: Path):
    session, config = config_of(tmp_path, asks("loss", "kd"), data=FLIP, bank={"outcomes": True})
    teacher = session.resident.teacher(config, "wide")
    splits = session.resident.splits(config)

    def run(name: str, images: torch.Tensor, layers: list[str]) -> dict[str, torch.Tensor]:
        runs.append(len(images))
        return {LOGITS: teacher(images)}

    for workers in (1, 2):
        runs: list[int] = []
        for rank in range(workers):
            worker = Worker(session.worker.device, rank=rank, world_size=workers)
            loop = make_batches(config, splits, worker)
            kept = shelves(config, "fp32", session.resident, loop, worker, {("wide", LOGITS): (10,)})
            for batch in loop.epoch(0):
                said = kept.answer("wide", [LOGITS], batch, run)[LOGITS]
                torch.testing.assert_close(said, teacher(batch.images), rtol=1e-3, atol=1e-3)
        assert len(runs) == (len(loop) if workers == 1 else 0)


def test_a_row_stays_as_it_was_first_written(tmp_path: Path):
    images = Images(torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1), torch.zeros(10, dtype=torch.long))
    mean, std = statistics(images)
    loop = Batches(images, batch_size=4, augment=Augment(flip=True), mean=mean, std=std, seed=0)
    runs = 0

    def run(name: str, images: torch.Tensor, layers: list[str]) -> dict[str, torch.Tensor]:
        nonlocal runs
        runs += 1
        return {LOGITS: torch.full((len(images), 3), float(runs))}

    def seen(epochs: int) -> list[list[float]]:
        """By epoch, in which run each image was shown to the teacher."""
        about, outputs = {"t": {"teacher": "t"}}, {("t", LOGITS): (3,)}
        bank = Bank(tmp_path, 10**6)
        kept = Shelves(bank, BankUse(outcomes=True), outputs, about, loop, {}, {})
        return [
            [
                value
                for batch in loop.epoch(epoch)
                for value in kept.answer("t", [LOGITS], batch, run)[LOGITS][:, 0].tolist()
            ]
            for epoch in range(epochs)
        ]

    first, ran = seen(4), runs
    assert ran > 3  # some epochs lack a few rows only
    assert (seen(4), runs) == (first, ran)


@pytest.mark.parametrize(
    ("epochs", "views", "bank", "expected"),
    [
        (2, None, {}, True),
        (1, None, {}, False),
        (3, 1, {}, False),
        (2, None, {"dtype": "fp32"}, False),
        (1, None, {"outcomes": True}, True),
    ],
)
def test_all_outcomes_are_kept_where_they_take_no_more_room_or_when_asked_for(
    tmp_path: Path, epochs: int, views: int | None, bank: dict[str, Any], expected: bool
):
    data = {**FLIP, "views": views}
    optim = {"name": "sgd", "epochs": epochs}
    session, config = config_of(tmp_path, asks("loss", "kd"), data=data, optim=optim, bank=bank)
    session.trial(config, tmp_path / "trial", lambda metrics: True)
    assert bool(list(tmp_path.glob("bank/*/view-all"))) == expected
    assert bool(list(tmp_path.glob("bank/*/view-0"))) != expected


def test_a_teacher_that_hints_too_is_kept_by_views(tmp_path: Path):
    distill = {"teachers": {"members": ["wide"]}, "losses": {"kd": {}, "hint": HINT}}
    session, config = config_of(tmp_path, distill, data=FLIP, bank={"outcomes": True})
    session.trial(config, tmp_path / "trial", lambda metrics: True)
    assert not list(tmp_path.glob("bank/*/view-all")) and list(tmp_path.glob("bank/*/view-1"))


@pytest.mark.parametrize("augment", [{"cutout": 3}, {"mixup": 0.2}, {"cutmix": 1.0}])
def test_too_many_outcomes_are_refused(augment: dict[str, Any]):
    data = {"source": "digits", "augment": {"crop": 1, **augment}}
    (name,) = augment
    with pytest.raises(InputError, match=rf"bank\.outcomes: with {name}.*too many"):
        load_spec({"data": data, "student": "mlp", "bank": {"outcomes": True}})
