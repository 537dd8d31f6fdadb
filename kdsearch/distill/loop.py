"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from kdsearch.data import Batch, Batches
from kdsearch.distill.checkpoint import Checkpoint
from kdsearch.distill.objective import Objective
from kdsearch.distill.outputs import NOTHING, TeacherOutputs, Teachers
from kdsearch.distill.profile import Phase, Profile
from kdsearch.errors import KdsearchError
from kdsearch.registry import find
from kdsearch.spec import Optim

#: Called after each epoch with its metrics; training ends there when it returns False.
Report = Callable[[dict[str, float]], bool]


class TrainingError(KdsearchError):
    """Training went wrong in a way that the recipe is to blame for."""


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
        teachers: TeacherOutputs to the losses.
        batches: The training images, in the same order and views for every recipe.
        optim: Optimiser and schedule.
        epochs: Which passes over the images these are; each is a view of its own.
        evaluate: Scores the student as it is; called after each epoch.
        report: Told after each epoch; see `Report`.
        checkpoint: Gone on from, and kept up to date; None for none.
        data_parallel: Average gradients over the process group's workers.
        profile: Told what the time is spent on from now on.

    Returns:
        The metrics of the last epoch.

    Raises:
        TrainingError: When the loss is no longer a finite number.
    """
    begin = profile.begin if profile else _unwatched
    device = next(objective.parameters()).device
    trained: nn.Module = objective
    if data_parallel:
        trained = DistributedDataParallel(
            objective, device_ids=[device.index] if device.type == "cuda" else None
        )
    parameters = [p for p in objective.parameters() if p.requires_grad]
    optimizer = find("optimizer", optim.part).load()(parameters, **optim.options)
    steps = math.ceil(len(batches) / optim.accumulate)
    rate = _rate(optim, steps=len(epochs) * steps)
    peaks = [group["lr"] for group in optimizer.param_groups]
    autocast: AbstractContextManager[None] = nullcontext()
    if optim.precision == "bf16":
        autocast = torch.autocast(device.type, torch.bfloat16)

    def show(batch: Batch, taught: bool) -> TeacherOutputs:
        begin("teacher")
        shown = teachers(batch) if taught else NOTHING
        begin("forward")
        return shown

    first = checkpoint.restore(objective, optimizer, epochs) if checkpoint else epochs.start
    done, metrics = (first - epochs.start) * steps, dict[str, float]()
    for epoch in range(first, epochs.stop):
        started = time.perf_counter()
        objective.train()
        begin("data")
        sums = torch.zeros(1 + len(objective.labels), device=device)
        for index, batch in enumerate(batches.epoch(epoch)):
            last = (index + 1) % optim.accumulate == 0 or index + 1 == len(batches)
            taught = objective.advance((epoch - epochs.start + index / len(batches)) / len(epochs))
            with _without_sync(trained, last):
                with autocast:
                    total, told = trained(batch, show(batch, taught))
                begin("backward")
                (total if optim.accumulate == 1 else total / optim.accumulate).backward()
            begin("optimiser")
            sums += told
            if last:
                for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                    group["lr"] = peak * rate(done)
                if optim.clip:
                    nn.utils.clip_grad_norm_(objective.parameters(), optim.clip)
                optimizer.step()
                # As `zero_grad` does, which takes as long as a small layer: it looks for what to profile.
                for parameter in parameters:
                    parameter.grad = None
                done += 1
            begin("data")
        if data_parallel:
            # Each worker has the mean over its shard; together they end, or not, in the same epoch.
            distributed.all_reduce(sums)
            sums /= distributed.get_world_size()
        metrics = _means(sums, len(batches), objective.labels)
        metrics |= {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"]}
        if not math.isfinite(metrics["loss"]):
            raise TrainingError(f"the loss became {metrics['loss']} in epoch {epoch + 1}")
        begin("evaluation")
        metrics |= evaluate()
        begin("other")
        metrics["seconds"] = time.perf_counter() - started
        go_on = report(metrics)
        if checkpoint:
            last_epoch = epoch + 1 == epochs.stop
            checkpoint.save(objective, optimizer, metrics, last=last_epoch, now=not go_on)
        if not go_on:
            break
    return metrics


def _unwatched(phase: Phase) -> None:
    """Where nobody asks what the time is spent on."""


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


def _means(sums: torch.Tensor, batches: int, labels: Sequence[str]) -> dict[str, float]:
    names = ["loss", *(f"loss/{label}" for label in labels)]
    return dict(zip(names, (sums / batches).tolist(), strict=True))
