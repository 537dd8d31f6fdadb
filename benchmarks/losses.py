"""The step of a student with each loss beside cross-entropy, over its step with cross-entropy alone.

`python -m benchmarks.losses` prints the table and writes benchmarks/LOSSES.md; names of losses restrict it.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.report import HERE, listed, machine, note, seconds
from benchmarks.step import Given
from kdsearch import models
from kdsearch.data import Batch, Images
from kdsearch.distill.assemble import assemble
from kdsearch.distill.matching import layers_of, match_layers
from kdsearch.distill.objective import Objective
from kdsearch.distill.outputs import NOTHING, TeacherOutputs, Teachers
from kdsearch.distill.resident import Splits
from kdsearch.registry import find, parts
from kdsearch.spec import is_matched, load_spec

#: The standard pair resnet32x4 → resnet8x4, at half its width: a teacher of 3.5 times the student's work.
TEACHER, STUDENT = {"name": "resnet", "depth": 20, "width": 2}, {"name": "resnet", "depth": 8, "width": 2}
SHAPE, CLASSES, BATCH = (3, 32, 32), 100, 64
#: Images in the data set, for losses that remember each: those of CIFAR.
EXAMPLES = 50_000
ROUNDS, LIMIT = 5, 1.5


@dataclass(frozen=True)
class Cost:
    """Seconds of steps, taken in turns: with cross-entropy alone, with the loss, and with the teacher too."""

    loss: str
    plain: list[float]
    alone: list[float]
    taught: list[float]

    @property
    def ratio(self) -> float:
        """Median of the loss's step over its neighbour's, the teacher's outputs being there already."""
        return median(a / b for a, b in zip(self.alone, self.plain, strict=True))

    @property
    def ratio_taught(self) -> float:
        """The same with the teacher's forward pass."""
        return median(a / b for a, b in zip(self.taught, self.plain, strict=True))


class Step:
    """One student, what it is trained with, and a batch."""

    def __init__(self, losses: dict[str, Any]) -> None:
        torch.manual_seed(0)
        spec = load_spec(
            {
                "data": {"source": "digits", "batch_size": BATCH},
                "teachers": {"big": {"model": TEACHER}},
                "student": STUDENT,
                "distill": {"teachers": {"members": ["big"]}, "losses": losses},
            }
        )
        config = load_spec(match_layers(spec.tree(), lambda model: layers_of(model, SHAPE, CLASSES)))
        student = models.build(config.tree()["student"], SHAPE, CLASSES, seed=0)
        models.lay_out(student, SHAPE)
        teacher = models.build(TEACHER, SHAPE, CLASSES, seed=1).eval().requires_grad_(False)
        images = Images(torch.zeros(EXAMPLES, *SHAPE, dtype=torch.uint8), torch.zeros(EXAMPLES).long())
        splits = Splits(images, images, None, torch.zeros(3), torch.ones(3), tuple(map(str, range(CLASSES))))
        self.teachers: Teachers
        self.objective: Objective
        self.teachers, self.objective = assemble(
            config, config.distill.losses, student, Given(teacher, SHAPE), splits
        )
        trained = [p for p in self.objective.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(
            trained, 0.01, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
        )
        self.objective.train()
        self.taught = self.objective.advance(0.0)
        images = torch.randn(BATCH, *SHAPE).contiguous(memory_format=torch.channels_last)
        labels = torch.randint(0, CLASSES, (BATCH,))
        self.batch = Batch(images, labels, torch.randperm(EXAMPLES)[:BATCH])

    @cached_property
    def shown(self) -> TeacherOutputs:
        """What the teachers show for the batch."""
        return self.teachers(self.batch) if self.taught else NOTHING

    def seconds(self, *, taught: bool) -> float:
        """Of one step, with the teacher's forward pass or without."""
        shown = self.shown
        start = time.perf_counter()
        if taught and self.taught:
            shown = self.teachers(self.batch)
        total: Tensor
        total, _ = self.objective(self.batch, shown)
        torch.autograd.backward(total)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - start


def measure(names: list[str]) -> list[Cost]:
    """What each loss costs, every one in every round."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        plain = Step({"ce": {}})
        steps = {name: Step(losses_with(name)) for name in names}
        costs = {name: Cost(name, [], [], []) for name in names}
        for turn in range(-1, ROUNDS):
            note(f"round {turn + 1} of {ROUNDS}")
            for name, step in steps.items():
                taken = plain.seconds(taught=False), step.seconds(taught=False), step.seconds(taught=True)
                for kept, value in zip(
                    (costs[name].plain, costs[name].alone, costs[name].taught), taken, strict=True
                ):
                    kept += [value] if turn >= 0 else []
        return list(costs.values())
    finally:
        torch.set_num_threads(threads)


def losses_with(name: str) -> dict[str, Any]:
    """Cross-entropy and a loss at its defaults: on the last stage, or on all three where it takes several."""
    part = find("loss", name)
    loss: dict[str, Any] = {"name": name}
    if is_matched(part):
        several = "student_features" in part.needs
        stages = (1, 2, 3) if several else (3,)
        loss["match"] = {"teacher": "big", "pairs": [[f"stage{n}", f"stage{n}"] for n in stages]}
    return {"ce": {}, "loss": loss}


def table(costs: list[Cost]) -> str:
    """One row a loss, the most expensive first."""
    lines = ["| loss | step | over the plain one | with the teacher's forward pass | over the plain one |"]
    lines += ["|---|--:|--:|--:|--:|"]
    for cost in sorted(costs, key=lambda cost: -cost.ratio):
        mark = "**" if cost.ratio > LIMIT else ""
        cells = (
            f"`{cost.loss}`",
            seconds(median(cost.alone)),
            f"{mark}{cost.ratio:.2f}{mark}",
            seconds(median(cost.taught)),
            f"{cost.ratio_taught:.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(costs: list[Cost]) -> str:
    """The table, with what it was taken on."""
    where = machine() | {"load average, this included": f"{os.getloadavg()[1]:.2f}"}
    title = "# What each loss costs\n\nWritten by `python -m benchmarks.losses`."
    about = (
        f"A step (forward, backward, SGD) of {_described(STUDENT)} on {BATCH} images of 3x32x32 in {CLASSES} "
        f"classes, with cross-entropy and one more loss at its defaults, taught by {_described(TEACHER)}, "
        f"over the step with cross-entropy alone. On features: the last stage of both, or all three for one "
        f"that takes several. One thread; every loss in each of {ROUNDS} rounds, beside a plain step; "
        f"medians of steps, and of the ratios of neighbours. In the first pair of columns the teacher's "
        f"outputs are there already, in the second they are computed. Above {LIMIT} in bold: "
        f"`docs/losses.md` says why."
    )
    return f"{title}\n\n{about}\n\n{table(costs)}\n\n{listed(where)}"


def _described(model: dict[str, Any]) -> str:
    return f"{model['name']}{model['depth']}x{model['width']}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.losses", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="LOSS", help="only these, and nothing is written")
    names = parser.parse_args().names
    if unknown := set(names) - set(parts("loss")):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(parts('loss'))}")
    costs = measure(names or list(parts("loss")))
    if names:
        print(table(costs))
    else:
        (HERE / "LOSSES.md").write_text(page(costs), encoding="utf-8")
        print(page(costs))


if __name__ == "__main__":
    main()
