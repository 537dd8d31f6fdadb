"""Images per second of the student's step, as a share of what the bare model does on data that are there.

`python -m benchmarks.share` prints the table and writes benchmarks/SHARE.md and share.json; `--rounds N` (15)
says how often each is run.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import report
from benchmarks.report import machine, note, rounds_of, save
from benchmarks.step import CLASSES, Given
from kdsearch import models
from kdsearch.data import Augment, Batches, Images
from kdsearch.distill.assemble import assemble
from kdsearch.distill.compiled import compiled
from kdsearch.distill.loop import distill
from kdsearch.distill.resident import Splits
from kdsearch.spec import load_spec

COMMAND = "python -m benchmarks.share"
SHAPE, BATCH, STEPS, ROUNDS, ASKED = (3, 32, 32), 64, 4, 15, 0.95
STUDENTS: dict[str, dict[str, Any]] = {
    "resnet8": {"name": "resnet", "depth": 8},
    "resnet14": {"name": "resnet", "depth": 14},
    "resnet20": {"name": "resnet", "depth": 20},
    "wrn10x1": {"name": "wrn", "depth": 10, "width": 1},
}


def images_per_second(student: dict[str, Any], rounds: int) -> dict[str, list[float]]:
    """Of kdsearch's loop and of the bare model, in turns, after a round that warms up."""
    model = models.build(student, SHAPE, CLASSES, seed=0)
    models.lay_out(model, SHAPE)
    found: dict[str, list[float]] = {"kdsearch": [], "bare": []}
    for turn in range(rounds + 1):
        sides = {"kdsearch": ours(copy.deepcopy(model), student), "bare": _bare(copy.deepcopy(model))}
        for side in sides if turn % 2 else reversed(sides):
            start = time.thread_time()
            sides[side]()
            found[side] += [BATCH * STEPS / (time.thread_time() - start)] if turn else []
    return found


def ours(
    model: nn.Module,
    student: dict[str, Any],
    compile: bool = False,
    *,
    device: torch.device | str = "cpu",
    steps: int = STEPS,
) -> Callable[[], object]:
    """`distill()` over an epoch of so many batches, made up."""
    spec = load_spec(
        {
            "data": {"source": "digits", "batch_size": BATCH},
            "student": student,
            "distill": {"losses": {"ce": {}}},
            "optim": {"name": "sgd", "lr": 0.05, "epochs": 1},
        }
    )
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (BATCH * steps, *SHAPE), generator=draw).to(torch.uint8)
    images = Images(pixels, torch.randint(0, CLASSES, (BATCH * steps,), generator=draw))
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    splits = Splits(images, images, None, mean, std, tuple(map(str, range(CLASSES))))
    teachers, objective = assemble(
        spec, spec.distill.losses, model, Given(copy.deepcopy(model), SHAPE), splits
    )
    if compile:
        objective.run_student = compiled(model)
    # Cropped and flipped, as images of this size are: the bare model pays for none of it.
    augment = Augment(crop=4, flip=True)
    batches = Batches(
        images,
        batch_size=BATCH,
        augment=augment,
        mean=mean,
        std=std,
        seed=0,
        channels_last=True,
        device=device,
    )
    objective.to(device)

    def run() -> object:
        return distill(
            objective,
            teachers,
            batches,
            spec.optim,
            epochs=range(1),
            evaluate=dict,
            report=lambda metrics: True,
        )

    return run


def _bare(model: nn.Module) -> Callable[[], object]:
    """Forward, backward and the optimiser on one batch, again and again."""
    images, labels = torch.randn(BATCH, *SHAPE), torch.randint(0, CLASSES, (BATCH,))
    images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
    )
    model.train()

    def run() -> None:
        for _ in range(STEPS):
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return run


def page(found: dict[str, dict[str, list[float]]], rounds: int) -> str:
    """The table, with what it was taken on."""
    lines = [f"| student | kdsearch | bare model | share, asked {ASKED:.0%} |", "|---|--:|--:|--:|"]
    for name, each in found.items():
        share = median(one / other for one, other in zip(each["kdsearch"], each["bare"], strict=True))
        times = [f"{median(each[side]):.0f} images/s" for side in ("kdsearch", "bare")]
        lines.append(f"| {' | '.join([name, *times, f'{share:.1%}'])} |")
    about = (
        f"Batches of {BATCH} images of 3x32x32, learned from labels: `distill()`, which crops, flips and "
        "normalises them, against forward, backward and the optimiser on one batch of floats that never "
        "changes, both with the channels last. One thread, its CPU time; medians of "
        f"{rounds} runs of {STEPS} steps in turns, and of the ratios of neighbours."
    )
    return report.page("Share of the limit", about, lines, COMMAND, f"{os.getloadavg()[1]:.2f}")


def main() -> None:
    rounds = rounds_of(COMMAND, __doc__, ROUNDS)
    torch.set_num_threads(1)
    found = {}
    for name, student in STUDENTS.items():
        note(name)
        found[name] = images_per_second(student, rounds)
    save("share", page(found, rounds), {"machine": machine(), "images per second": found})


if __name__ == "__main__":
    main()
