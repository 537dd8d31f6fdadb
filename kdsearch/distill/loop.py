"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from kdsearch.data import Batches
from kdsearch.distill.checkpoint import Checkpoint
from kdsearch.distill.objective import Objective
from kdsearch.distill.outputs import NOTHING, Teachers
from kdsearch.distill.profile import Activity, Profile
from kdsearch.errors import KdsearchError
from kdsearch.registry import find
from kdsearch.spec import Optim

#: Called after each epoch with its metrics; training ends there when it returns False.
Report = Callable[[dict[str, float]], bool]


class TrainingError(KdsearchError):
    """Training failed, and the recipe is to blame."""


def distill(
    objective: Objective,
    teachers: Teachers,
    batches: Batches,
    optim: Optim,
    *,
    epochs: range,
    evaluate: Callable[[], dict[str, float]],
    report: Report,
    checkpoint: Checkpoint | None = None,
    data_parallel: bool = False,
    profile: Profile | None = None,
) -> dict[str, float]:
    """Train the student of `objective` in place.

    Args:
        objective: The student and its losses, on the device of the batches.
        teachers: What the losses compare the student with.
        batches: The training images, in the same order and views for every recipe.
        optim: Optimiser and schedule.
        epochs: The numbers of the passes over the images; each is a view of its own.
        evaluate: Scores the student as it is; called after each epoch.
        report: Called after each epoch; see `Report`.
        checkpoint: Training resumes from it and saves to it; None disables checkpoints.
        data_parallel: Average gradients over the process group's workers.
        profile: Receives the start of each activity.

    Returns:
        The metrics of the last epoch.

    Raises:
        TrainingError: When the loss is no longer a finite number.
    """
    trained: nn.Module = objective
    if data_parallel:
        device = next(objective.parameters()).device
        trained = DistributedDataParallel(
            objective,
            device_ids=[device.index] if device.type == "cuda" else None,
            # It walks the graph of every batch for them.
            find_unused_parameters=objective.leaves_some_out(),
        )
    begin = profile.begin if profile else _ignore
    steps = math.ceil(len(batches) / optim.accumulate)
    stepper = _Stepper(objective, optim, steps=len(epochs) * steps)
    first = checkpoint.restore(objective, stepper.optimizer, epochs) if checkpoint else epochs.start
    stepper.done = (first - epochs.start) * steps
    metrics: dict[str, float] = {}
    for epoch in range(first, epochs.stop):
        started = time.perf_counter()
        sums = _train_epoch(trained, objective, teachers, batches, stepper, epoch, epochs, begin)
        if data_parallel:
            # Each worker has the mean over its shard; together they end, or not, in the same epoch.
            distributed.all_reduce(sums)
            sums /= distributed.get_world_size()
        metrics = _means(sums, len(batches), objective.labels)
        metrics |= {"epoch": epoch + 1, "lr": stepper.optimizer.param_groups[0]["lr"]}
        if not math.isfinite(metrics["loss"]):
            raise TrainingError(f"the loss became {metrics['loss']} in epoch {epoch + 1}")
        begin("evaluation")
        metrics |= evaluate()
        begin("other")
        metrics["seconds"] = time.perf_counter() - started
        go_on = report(metrics)
        if checkpoint:
            last_epoch = epoch + 1 == epochs.stop
            checkpoint.save(objective, stepper.optimizer, metrics, last=last_epoch, now=not go_on)
        if not go_on:
            break
    return metrics


def _train_epoch(
    trained: nn.Module,
    objective: Objective,
    teachers: Teachers,
    batches: Batches,
    stepper: _Stepper,
    epoch: int,
    epochs: range,
    begin: Callable[[Activity], None],
) -> Tensor:
    """Train for one epoch.

    Args:
        trained: The objective, or what averages its gradients over workers.
        objective: The student and its losses.
        teachers: What the losses compare the student with.
        batches: The training images.
        stepper: Moves the parameters.
        epoch: The number of this pass over the images.
        epochs: The numbers of all passes of the training.
        begin: Receives the start of each activity.

    Returns:
        The sums over the batches of the objective and of each loss, (1 + losses,).
    """
    device = next(objective.parameters()).device
    optim = stepper.optim
    autocast: AbstractContextManager[None] = nullcontext()
    if optim.precision == "bf16":
        autocast = torch.autocast(device.type, torch.bfloat16)
    objective.train()
    begin("data")
    sums = torch.zeros(1 + len(objective.labels), device=device)
    for index, batch in enumerate(batches.epoch(epoch)):
        last = (index + 1) % optim.accumulate == 0 or index + 1 == len(batches)
        # The last step of an epoch may be of fewer batches than the others.
        group = min(optim.accumulate, len(batches) - index // optim.accumulate * optim.accumulate)
        taught = objective.advance((epoch - epochs.start + index / len(batches)) / len(epochs))
        with _without_sync(trained, last):
            with autocast:
                begin("teacher")
                outputs = teachers(batch) if taught else NOTHING
                begin("forward")
                total, values = trained(batch, outputs)
            begin("backward")
            (total if group == 1 else total / group).backward()
        begin("optimiser")
        sums += values
        if last:
            stepper.step()
        begin("data")
    return sums


class _Stepper:
    """The optimiser of an objective and its learning rate. `done` is how many steps have been taken."""

    def __init__(self, objective: Objective, optim: Optim, steps: int) -> None:
        """
        Args:
            objective: What is trained.
            optim: Optimiser and schedule.
            steps: How many there are in all.
        """
        self.optim, self.done = optim, 0
        self._objective = objective
        self._parameters = [p for p in objective.parameters() if p.requires_grad]
        make = find("optimizer", optim.part).load()
        self.optimizer: torch.optim.Optimizer = make(self._parameters, **optim.options)
        self._peaks = [group["lr"] for group in self.optimizer.param_groups]
        self._rate = _rate(optim, steps)

    def step(self) -> None:
        """Move the parameters along their gradients, and drop these."""
        for group, peak in zip(self.optimizer.param_groups, self._peaks, strict=True):
            group["lr"] = peak * self._rate(self.done)
        if self.optim.clip:
            nn.utils.clip_grad_norm_(self._objective.parameters(), self.optim.clip)
        self.optimizer.step()
        # As `zero_grad` does, which takes as long as a small layer: it looks for what to profile.
        for parameter in self._parameters:
            parameter.grad = None
        self.done += 1


def _ignore(activity: Activity) -> None:
    """Stands in for a profile where there is none."""


def _rate(optim: Optim, steps: int) -> Callable[[int], float]:
    """The factor on the peak learning rate at each step: linear warm-up times the schedule."""
    schedule, options = find("schedule", optim.schedule.part).load(), optim.schedule.options
    warmup = optim.warmup * steps

    def factor(done: int) -> float:
        rise = min(1.0, (done + 1) / warmup) if warmup else 1.0
        return float(rise * schedule(done / steps, **options))

    return factor


def _without_sync(module: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Gradients need to be averaged only once for all batches of a step."""
    if isinstance(module, DistributedDataParallel) and not last:
        return module.no_sync()
    return nullcontext()


def _means(sums: Tensor, batches: int, labels: Sequence[str]) -> dict[str, float]:
    names = ["loss", *(f"loss/{label}" for label in labels)]
    return dict(zip(names, (sums / batches).tolist(), strict=True))
