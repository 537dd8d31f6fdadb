"""One config, from start to end, on one device: what a trial is."""

from __future__ import annotations

import time
from functools import partial

import torch
from torch import nn

from kdsearch import models
from kdsearch.data import Augment, Batches, Mix
from kdsearch.distill.assemble import assemble
from kdsearch.distill.banked import shelves
from kdsearch.distill.checkpoint import Checkpoint
from kdsearch.distill.compiled import STEPS, compiled
from kdsearch.distill.loop import Report, distill
from kdsearch.distill.profile import Profile
from kdsearch.distill.resident import Resident, Splits
from kdsearch.distill.score import score, score_architecture, score_trained
from kdsearch.distill.ship import as_trained, is_converted, timed_as
from kdsearch.distill.stages import phases
from kdsearch.distill.worker import Worker
from kdsearch.measure import Timings, figures_of
from kdsearch.spec import Spec


def run(
    config: Spec,
    resident: Resident,
    worker: Worker,
    *,
    report: Report,
    timings: Timings | None = None,
    weights_seed: int = 0,
    repeat: int = 0,
    checkpoint: Checkpoint | None = None,
    profile: Profile | None = None,
) -> tuple[nn.Module, dict[str, float]]:
    """Distill the student of a config.

    Args:
        config: A spec with nothing left to search, its layers given by paths.
        resident: Data and teachers.
        worker: Where it runs.
        report: Called with the metrics of each epoch; training ends early when it returns False.
        timings: Times the student, before it is trained, for objectives that need it; None leaves them out.
        weights_seed: Tells apart the initial weights of equal configs.
        repeat: 0 in a search; another number gives fresh initial weights, and fresh batches in a fresh order,
            on the same split and from the same teachers.
        checkpoint: Training resumes from it and saves to it; None disables checkpoints.
        profile: Receives the start of each activity.

    Returns:
        The student, and the final metrics: every objective on the validation split, and the loss.
    """
    torch.set_num_threads(worker.threads)
    started = time.perf_counter()
    splits = resident.splits(config)
    shape, classes = splits.shape, len(splits.classes)
    tree = config.tree()
    order = config.search.seed + (repeat << 40)
    seed = order + (weights_seed << 32)
    student = models.build(tree["student"], shape, classes, seed=seed)
    figures = figures_of(config)
    student = student.to(worker.device)
    # Before it is trained, so that a student that cannot be measured costs no epoch.
    result = score_architecture(student, config, shape)
    if timings is not None and not is_converted(config.deploy):
        form = as_trained(student, config, splits, worker.device)
        result |= timings.of(form, timed_as(config), shape, classes, figures)
    last = models.lay_out(student, shape)
    torch.manual_seed(seed)
    metrics: dict[str, float] = {}
    batches = make_batches(config, resident.placed(config), worker, seed=order, channels_last=last)
    for past in checkpoint.history if checkpoint else ():
        report(past)
    for phase in phases(config):
        if checkpoint and checkpoint.epoch >= phase.epochs.stop:
            continue
        keep = partial(shelves, config, phase.optim.precision, resident, batches, worker)
        teachers, objective = assemble(config, phase.losses, student, resident, splits, keep=keep)
        long = config.optim.epochs * len(batches) >= STEPS
        # Compiled steps have no second derivative, which a loss of gradients for the images takes.
        if config.compute.compile and long and not objective.takes_gradients:
            objective.run_student = compiled(student)
        try:
            metrics = distill(
                objective.to(worker.device),
                teachers,
                batches,
                phase.optim,
                epochs=phase.epochs,
                evaluate=partial(score, student, config, resident, figures),
                report=report,
                checkpoint=checkpoint,
                data_parallel=worker.world_size > 1,
                profile=profile,
            )
        finally:
            teachers.close()
            objective.close()
        if metrics["epoch"] < phase.epochs.stop:
            break
    if profile:
        profile.begin("evaluation")
    result |= score_trained(student, config, resident, figures)
    models.restore(student)
    if profile:
        profile.begin("other")
    final = {
        key: metrics[key] for key in metrics if key not in ("lr", "seconds") and not key.startswith("loss/")
    }
    return student, final | result | {"seconds": time.perf_counter() - started}


def make_batches(
    config: Spec, splits: Splits, worker: Worker, *, seed: int | None = None, channels_last: bool = False
) -> Batches:
    """The training batches of a config for one of its workers; by default with the config's seed."""
    augment = config.data.augment
    return Batches(
        splits.train,
        batch_size=config.data.batch_size,
        augment=Augment(crop=augment.crop, flip=augment.flip, cutout=augment.cutout),
        mix=Mix(mixup=augment.mixup, cutmix=augment.cutmix),
        mean=splits.mean,
        std=splits.std,
        seed=config.search.seed if seed is None else seed,
        views=config.data.views,
        rank=worker.rank,
        world_size=worker.world_size,
        device=worker.device,
        channels_last=channels_last,
    )
