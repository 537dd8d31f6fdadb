"""One config, from start to end, on one device: what a trial is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from kdsearch import models
from kdsearch.constraints import parse_constraints
from kdsearch.data import Augment, Batches
from kdsearch.distill.evaluate import predict
from kdsearch.distill.layers import all_layers
from kdsearch.distill.loop import Report, distill
from kdsearch.distill.objective import Objective
from kdsearch.distill.resident import Resident, Splits
from kdsearch.distill.teachers import Teachers
from kdsearch.measure import Timings, measure_architecture, measure_predictions
from kdsearch.registry import find, metric, parts
from kdsearch.spec import Ensemble, Match, Spec

#: Measured for every student, whatever the objectives are.
ALWAYS = ("accuracy", "parameters", "macs", "size_mb")


@dataclass(frozen=True)
class Worker:
    """Where a config runs: one of `world_size` workers that share every batch."""

    device: torch.device
    rank: int = 0
    world_size: int = 1
    threads: int = 1


def run(
    config: Spec,
    resident: Resident,
    worker: Worker,
    *,
    report: Report,
    timings: Timings | None = None,
    weights_seed: int = 0,
) -> tuple[nn.Module, dict[str, float]]:
    """Distill the student of a config.

    Args:
        config: A spec with nothing left to search, its layers given by paths.
        resident: Data and teachers.
        worker: Where it runs.
        report: Told the metrics of each epoch; training ends early when it returns False.
        timings: Times the student for the objectives that need it, before it is trained; None leaves them out.
        weights_seed: Tells apart the initial weights of equal configs.

    Returns:
        The student, and the final metrics: every objective on the validation split, and the loss.
    """
    torch.set_num_threads(worker.threads)
    started = time.perf_counter()
    splits = resident.splits(config)
    shape, classes = splits.shape, len(splits.classes)
    tree = config.tree()
    seed = config.search.seed + (weights_seed << 32)
    student = models.build(tree["student"], shape, classes, seed=seed)
    names = measured_names(config)
    result = measure_architecture(student, shape, names, known=("architecture",))
    student = student.to(worker.device)
    if timings is not None:
        result |= timings.of(student, tree["student"], shape, classes, names)
    if worker.device.type == "cuda":
        student = student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.manual_seed(seed)
    teachers, objective = assemble(config, student, resident, shape)
    try:
        metrics = distill(
            objective.to(worker.device),
            teachers,
            batches(config, splits, worker),
            config.optim,
            evaluate=partial(_score, student, splits, worker.device, names),
            report=report,
            data_parallel=worker.world_size > 1,
        )
    finally:
        teachers.close()
        objective.close()
    final = {
        key: metrics[key] for key in metrics if key not in ("lr", "seconds") and not key.startswith("loss/")
    }
    return student, final | result | {"seconds": time.perf_counter() - started}


def measured_names(config: Spec) -> list[str]:
    """What is measured of every student: what a spec names, and what is free."""
    known = {*parts("objective"), *map(metric, config.objectives)}
    bounded = [c.name for text in config.constraints for c in parse_constraints(text, known)]
    own = {metric(name): name for name in config.objectives}
    return [*dict.fromkeys([*ALWAYS, *config.objectives, *(own.get(name, name) for name in bounded)])]


def batches(config: Spec, splits: Splits, worker: Worker) -> Batches:
    """The training batches of a config for one of its workers."""
    augment = config.data.augment
    return Batches(
        splits.train,
        batch_size=config.data.batch_size,
        augment=Augment(crop=augment.crop, flip=augment.flip, cutout=augment.cutout),
        mean=splits.mean,
        std=splits.std,
        seed=config.search.seed,
        rank=worker.rank,
        world_size=worker.world_size,
        device=worker.device,
        channels_last=worker.device.type == "cuda",
    )


def assemble(
    config: Spec, student: nn.Module, resident: Resident, shape: tuple[int, ...]
) -> tuple[Teachers, Objective]:
    """The teachers of a config, and its student with its losses, ready to be trained."""
    use = config.distill.teachers
    matches = [loss.layers for loss in config.distill.losses.values() if isinstance(loss.layers, Match)]
    hinted = {
        match.teacher: tuple(
            str(layer) for other in matches if other.teacher == match.teacher for _, layer in other.pairs
        )
        for match in matches
    }
    frozen = {name: resident.teacher(config, name) for name in config.teachers}
    teachers = Teachers(frozen, tuple(use.members), _combiner(use.combine), hinted)
    objective = Objective(
        student,
        config.distill.losses,
        _shapes(student, shape) if matches else {},
        {name: _shapes(frozen[name], shape) for name in hinted},
    )
    return teachers, objective


def _combiner(ensemble: Ensemble) -> Callable[..., Tensor]:
    part = find("ensemble", ensemble.part)
    combine = part.load()

    def weights(**given: object) -> Tensor:
        chosen: Tensor = combine(**{need: given[need] for need in part.needs}, **ensemble.options)
        return chosen

    return weights


def _shapes(model: nn.Module, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {layer.path: layer.shape for layer in all_layers(model, shape)}


def _score(student: nn.Module, splits: Splits, device: torch.device, names: list[str]) -> dict[str, float]:
    logits, labels = predict(student, splits.validation, splits.mean, splits.std, device=device)
    return measure_predictions(logits, labels, names)
