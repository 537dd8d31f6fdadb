"""Teachers: a dozen trials with 0, 1, 3 and 5 of them, their outputs kept in the bank or not."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from benchmarks.report import Row, note, seconds
from kdsearch.data import Dataset, Images
from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.spec import Spec, load_spec

TRIALS, TEACHERS = 12, (0, 1, 3, 5)
BATCH, STEPS, SCORED = 64, 20, 256

_FAMILY = {f"t{i}": {"model": {"name": "convnet", "width": 32, "depth": 3}, "epochs": 1} for i in range(5)}
_CIFAR10 = "KDSEARCH_CIFAR10"


def some() -> Dataset:
    """So many images of CIFAR-10, or, where none are given, made-up ones of their shape."""
    count = BATCH * STEPS + SCORED
    if folder := os.environ.get(_CIFAR10):
        from kdsearch.data import load

        files = {split: str(Path(folder) / f"{split}.parquet") for split in ("train", "test")}
        whole = load({"source": "parquet", **files})
        return Dataset(whole.train[:count], None, whole.classes)
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 32, 32), generator=draw).to(torch.uint8)
    return Dataset(Images(pixels, torch.arange(count) % 10), None, tuple(map(str, range(10))))


def measure() -> list[Row]:
    """The seconds of a dozen trials, one row a number of teachers and a state of the bank."""
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="kdsearch-bench-") as folder:
        try:
            return _rows(Path(folder))
        finally:
            torch.set_num_threads(threads)


def _rows(folder: Path) -> list[Row]:
    contestants = {
        (count, banked): _contestant(folder, count, banked) for count in TEACHERS for banked in (False, True)
    }
    del contestants[0, True]
    filling = {key: _trial(folder, *contestant) for key, contestant in contestants.items()}
    samples: dict[tuple[int, bool], list[float]] = {key: [] for key in contestants}
    for trial in range(TRIALS):
        note(f"  trial {trial + 1} of {TRIALS}")
        for key, contestant in contestants.items():
            samples[key].append(_trial(folder, *contestant))
    # As long as a dozen of the median: one hiccup of the machine in one of them decides no ratio.
    taken = {key: TRIALS * median(times) for key, times in samples.items()}
    alone = taken[0, False]
    images = "CIFAR-10" if os.environ.get(_CIFAR10) else "made-up images of its shape"
    rows = []
    for count, banked in contestants:
        if count == 0:
            continue
        how = "kept in the bank" if banked else "run for every trial"
        remarks = (
            f"{TRIALS} trials of {STEPS} steps of {BATCH} images ({images}, cropped, flipped), a thread, in "
            f"turns with the others, {TRIALS} times the median; the student alone is the other; median of "
            f"the ratios of neighbours {_paired(samples[count, banked], samples[0, False]):.3f}. The trial "
            f"before them took {seconds(filling[count, banked])}" + (", it filled the bank" if banked else "")
        )
        name = f"{count} teacher{'s' if count > 1 else ''}, {how}"
        asked = "at most 1.05" if banked else ""
        key = (count, banked)
        sides = {"kdsearch": samples[key], "other": samples[0, False]}
        rows.append(Row(name, taken[key], alone, asked=asked, remarks=remarks, samples=sides))
    return rows


def _paired(ours: list[float], others: list[float]) -> float:
    return median(one / other for one, other in zip(ours, others, strict=True))


def _contestant(folder: Path, count: int, banked: bool) -> tuple[Session, Spec]:
    members = list(_FAMILY)[:count]
    spec = load_spec(
        {
            "data": {
                "source": "benchmarks.bank:some",
                "batch_size": BATCH,
                "validation": SCORED / (BATCH * STEPS + SCORED),
                "augment": {"crop": 4, "flip": True},
                "views": 1,
            },
            "teachers": {name: _FAMILY[name] for name in members},
            "student": {"name": "convnet", "width": 16, "depth": 3},
            "distill": {
                "teachers": {"members": members},
                "losses": {"ce": {}, "kd": {}} if members else {"ce": {}},
            },
            "optim": {"name": "sgd", "lr": 0.02, "epochs": 1},
            "compute": {"storage": str(folder)},
            "bank": {"enabled": banked},
        }
    )
    session = Session(folder, local_worker(spec))
    ensure_teachers(spec, session, lambda name, text: None)
    session.resident.splits(spec)
    for name in members:
        session.resident.teacher(spec, name)
    return session, spec


def _trial(folder: Path, session: Session, spec: Spec) -> float:
    start = time.perf_counter()
    session.trial(spec, folder / "trial", lambda metrics: True)
    return time.perf_counter() - start
