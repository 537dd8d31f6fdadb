"""The distillation step of kdsearch, of the plain loop and of torchdistill, in turns in one process.

`python -m benchmarks.distilling`, in an environment that has torchdistill, answers the number of rounds with
the seconds of a step of each, and with the losses that they end at, by case.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from benchmarks.child import asked
from benchmarks.step import CASES, Contest, Ready

#: Those without hints, which torchdistill has no regressor for that is not a model of its own.
TAUGHT = [case for case in CASES if not case.hint]


def theirs(contest: Contest) -> Ready:
    """torchdistill's training box with the same losses; its batches lie ready in a list."""
    from torchdistill.core.distillation import DistillationBox

    recipe, batches = contest.case.recipe, contest.case.batches
    logits = {"student_module_path": ".", "teacher_module_path": "."}
    ends = {"student_module_io": "output", "teacher_module_io": "output"}
    weights = {"temperature": recipe.temperature, "alpha": 1.0, "beta": recipe.kd}
    sgd = {"lr": recipe.lr, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    both: dict[str, Any] = {"forward_proc": "forward_batch_only"}
    student = copy.deepcopy(contest.student)
    student.train()
    box = DistillationBox(
        contest.teacher,
        student,
        {},
        {
            "num_epochs": recipe.epochs,
            "teacher": both | {"requires_grad": False},
            "student": dict(both),
            "criterion": {
                "key": "WeightedSumLoss",
                "kwargs": {
                    "sub_terms": {
                        "kd": {"criterion": {"key": "KDLoss", "kwargs": logits | ends | weights}, "weight": 1}
                    }
                },
            },
            "optimizer": {"key": "SGD", "kwargs": sgd},
            "scheduler": {
                "key": "CosineAnnealingLR",
                "kwargs": {"T_max": recipe.epochs * batches},
                "scheduling_step": 1,
            },
        },
        torch.device("cpu"),
        None,
        False,
        1,
    )
    loader = list(zip(contest.images.chunk(batches), contest.labels.chunk(batches), strict=True))

    def run() -> float:
        total = torch.zeros(())
        for _ in range(recipe.epochs):
            total = torch.zeros(())
            for images, labels in loader:
                loss = box.forward_process(images, labels, {})
                box.post_forward_process(loss)
                total += loss.detach()
        return float(total) / batches

    return student, run


def measure(contest: Contest, rounds: int) -> dict[str, list[float]]:
    """The CPU seconds of a step, in turns, after a round that warms up."""
    sides = {"kdsearch": contest.ours, "plain": contest.plain, "torchdistill": partial(theirs, contest)}
    samples: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(rounds + 1):
        for side in sides if turn % 2 else reversed(sides):
            _, run = sides[side]()
            start = time.thread_time()
            run()
            taken = (time.thread_time() - start) / (contest.case.epochs * contest.case.batches)
            samples[side] += [taken] if turn else []
    return samples


def same(contest: Contest) -> dict[str, float]:
    """What each ends at on a single batch: only equal work may be compared."""
    one = Contest(replace(contest.case, batches=1, epochs=3))
    return {"kdsearch": one.ours()[1](), "plain": one.plain()[1](), "torchdistill": theirs(one)[1]()}


def main() -> None:
    rounds, out = asked()
    torch.set_num_threads(1)
    found = {}
    for case in TAUGHT:
        contest = Contest(case)
        found[case.name] = {"ends": same(contest), "seconds": measure(contest, rounds)}
    out.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
