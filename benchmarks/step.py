"""Step time: `distill()` against the plainest PyTorch loop, with the same student, teacher and losses."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.plain import Recipe, fit
from benchmarks.report import Row, note, seconds
from kdsearch import models
from kdsearch.data import Augment, Batches, Images, normalise
from kdsearch.distill.assemble import assemble
from kdsearch.distill.loop import distill
from kdsearch.distill.resident import Resident, Splits
from kdsearch.distill.teachers import TeacherStore
from kdsearch.spec import Spec, load_spec

CLASSES = 10
MEAN, STD = 0.5, 0.25


@dataclass(frozen=True)
class Case:
    """A student and a teacher of one family, on random images of one shape."""

    name: str
    shape: tuple[int, int, int]
    student: dict[str, Any]
    teacher: dict[str, Any]
    batch: int
    batches: int
    epochs: int
    repeats: int
    hint: float = 0.0
    layer: str = "stage2"

    @property
    def recipe(self) -> Recipe:
        """Its losses and their weights, as the plain loop takes them."""
        return Recipe(0.05, self.batch, self.epochs, 4.0, 0.9, self.hint, self.layer)


_CONVNET, _RESNET = {"name": "convnet", "depth": 3}, {"name": "resnet", "depth": 8}
_GIVEN = (
    ("convnet on 1x8x8", (1, 8, 8), _CONVNET | {"width": 8}, _CONVNET | {"width": 32}, 20, 3, 60),
    ("convnet on 3x32x32", (3, 32, 32), _CONVNET | {"width": 8}, _CONVNET | {"width": 16}, 8, 2, 15),
    ("resnet8 on 3x32x32", (3, 32, 32), _RESNET, _RESNET | {"width": 2}, 4, 1, 15),
)
CASES = [
    Case(f"{name}, {losses}", shape, student, teacher, 64, batches, epochs, repeats, hint)
    for name, shape, student, teacher, batches, epochs, repeats in _GIVEN
    for losses, hint in (("ce + kd", 0.0), ("ce + kd + hint", 1.0))
]


def measure() -> list[Row]:
    """The seconds of a step, one row a case."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_row(case) for case in CASES]
    finally:
        torch.set_num_threads(threads)


def _row(case: Case) -> Row:
    contest = Contest(case)
    sides = {"kdsearch": contest.ours, "other": contest.plain, "laid out": contest.laid_out}
    samples: dict[str, list[float]] = {side: [] for side in sides}
    for repeat in range(1 + case.repeats):
        for side in sides if repeat % 2 else reversed(sides):
            _, run = sides[side]()
            start = time.perf_counter()
            run()
            taken = (time.perf_counter() - start) / (case.epochs * case.batches)
            if repeat:
                samples[side].append(taken)
    ours, plain, laid_out = samples.values()
    paired = median(one / other for one, other in zip(ours, plain, strict=True))
    alike = median(one / other for one, other in zip(ours, laid_out, strict=True))
    row = Row(
        f"a step of {case.name}",
        median(ours),
        median(plain),
        asked="at most 1.05",
        remarks=f"batch {case.batch}, one thread, median of {case.repeats} runs of each in turns; median of "
        f"the ratios of neighbours {paired:.3f}; {alike:.3f} of the plain loop with the channels last",
        samples=samples,
    )
    times = f"{seconds(row.kdsearch)} against {seconds(row.other)}"
    note(f"  {case.name}: {times}, {row.ratio:.3f}; {paired:.3f}; {alike:.3f} with the channels last")
    return row


#: A student, and what trains it and returns its last mean loss.
Ready = tuple[nn.Module, Callable[[], float]]


class Contest:
    """Both loops on the same tensors and from the same weights."""

    def __init__(self, case: Case) -> None:
        self.case = case
        draw = torch.Generator().manual_seed(0)
        count = case.batch * case.batches
        pixels = torch.randint(0, 256, (count, *case.shape), generator=draw).to(torch.uint8)
        self.labels = torch.randint(0, CLASSES, (count,), generator=draw)
        self.teacher = models.build(case.teacher, case.shape, CLASSES, seed=1).eval().requires_grad_(False)
        self.student = models.build(case.student, case.shape, CLASSES, seed=0)
        self.spec = _spec(case)
        mean, std = (torch.full((case.shape[0],), value) for value in (MEAN, STD))
        self.images: Tensor = normalise(pixels, mean, std)
        data = Images(pixels, self.labels)
        self.splits = Splits(data, data, None, mean, std, tuple(map(str, range(CLASSES))))
        self.batches = Batches(
            data, batch_size=case.batch, augment=Augment(), mean=mean, std=std, seed=0, channels_last=True
        )

    def ours(self) -> Ready:
        """kdsearch's loop, assembled as a trial has it."""
        torch.manual_seed(0)
        student = copy.deepcopy(self.student)
        models.lay_out(student, self.case.shape)
        given = Given(copy.deepcopy(self.teacher), self.case.shape)
        teachers, objective = assemble(self.spec, self.spec.distill.losses, student, given, self.splits)

        def run() -> float:
            metrics = distill(
                objective,
                teachers,
                self.batches,
                self.spec.optim,
                epochs=range(self.spec.optim.epochs),
                evaluate=dict,
                report=lambda epoch: True,
            )
            teachers.close()
            objective.close()
            return metrics["loss"]

        return student, run

    def plain(self, layout: torch.memory_format = torch.contiguous_format) -> Ready:
        """The plain loop."""
        torch.manual_seed(0)
        student, regressor = copy.deepcopy(self.student).to(memory_format=layout), None
        teacher = copy.deepcopy(self.teacher).to(memory_format=layout)
        if self.case.hint:
            layer = self.case.layer
            regressor = nn.Conv2d(_width(student, layer), _width(self.teacher, layer), 1)
        recipe = self.case.recipe
        return student, partial(fit, student, self.images, self.labels, recipe, teacher, regressor)

    def laid_out(self) -> Ready:
        """The plain loop with the channels last, as kdsearch has them."""
        return self.plain(torch.channels_last)


class Given(Resident):
    """A teacher that is there already, whatever it is called."""

    def __init__(self, model: nn.Module, shape: tuple[int, int, int]) -> None:
        super().__init__(TeacherStore(Path()), torch.device("cpu"))
        models.take_any_layout(model, last=models.lay_out(model, shape))
        self._model = model

    def teacher(self, spec: Spec, name: str) -> nn.Module:
        return self._model


def _spec(case: Case) -> Spec:
    recipe = case.recipe
    losses: dict[str, Any] = {"ce": {}, "kd": {"weight": recipe.kd, "temperature": recipe.temperature}}
    if recipe.hint:
        pairs = [[recipe.layer, recipe.layer]]
        losses["hint"] = {"weight": recipe.hint, "match": {"teacher": "big", "pairs": pairs}}
    return load_spec(
        {
            "data": {"source": "digits"},
            "teachers": {"big": {"model": case.teacher}},
            "student": case.student,
            "distill": {"teachers": {"members": ["big"]}, "losses": losses},
            "optim": {"name": "sgd", "lr": recipe.lr, "epochs": recipe.epochs},
        }
    )


def _width(model: nn.Module, layer: str) -> int:
    """The channels that a convolutional layer puts out: those of its last convolution."""
    convolutions = [m for m in model.get_submodule(layer).modules() if isinstance(m, nn.Conv2d)]
    return convolutions[-1].out_channels
