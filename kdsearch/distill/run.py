"""One config, from start to end, on one device: what a trial is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from kdsearch import models
from kdsearch.data import Augment, Batches, Mix
from kdsearch.distill.checkpoint import Checkpoint
from kdsearch.distill.layers import Layer, all_layers, hintable_layers
from kdsearch.distill.loop import Report, distill
from kdsearch.distill.objective import Combination, Objective
from kdsearch.distill.profile import Profile
from kdsearch.distill.resident import Resident, Splits
from kdsearch.distill.score import score, score_architecture, score_trained
from kdsearch.distill.shelves import LOGITS, Shelves
from kdsearch.distill.ship import as_trained, is_converted, timed_as
from kdsearch.distill.shown import Teachers
from kdsearch.distill.stages import phases
from kdsearch.distill.terms import Sides, Term, make_terms
from kdsearch.measure import Timings, figures_of
from kdsearch.models.reused import reused
from kdsearch.registry import find
from kdsearch.spec import Loss, Spec


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
    repeat: int = 0,
    checkpoint: Checkpoint | None = None,
    profile: Profile | None = None,
) -> tuple[nn.Module, dict[str, float]]:
    """Distill the student of a config.

    Args:
        config: A spec with nothing left to search, its layers given by paths.
        resident: Data and teachers.
        worker: Where it runs.
        report: Told the metrics of each epoch; training ends early when it returns False.
        timings: Times the student, before it is trained, for objectives that need it; None leaves them out.
        weights_seed: Tells apart the initial weights of equal configs.
        repeat: 0 in a search; another number gives fresh initial weights, and fresh batches in a fresh order,
            on the same split and from the same teachers.
        checkpoint: Gone on from, and kept up to date; None for none.
        profile: Told what the time is spent on.

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
    if worker.device.type == "cuda":
        student = student.to(memory_format=torch.channels_last)
    torch.manual_seed(seed)
    metrics: dict[str, float] = {}
    loop = batches(config, splits, worker, seed=order)
    for told in checkpoint.told if checkpoint else ():
        report(told)
    for phase in phases(config):
        if checkpoint and checkpoint.epoch >= phase.epochs.stop:
            continue
        keep = partial(shelves, config, phase.optim.precision, resident, loop, worker)
        teachers, objective = assemble(config, phase.losses, student, resident, splits, keep=keep)
        try:
            metrics = distill(
                objective.to(worker.device),
                teachers,
                loop,
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
    if profile:
        profile.begin("other")
    final = {
        key: metrics[key] for key in metrics if key not in ("lr", "seconds") and not key.startswith("loss/")
    }
    return student, final | result | {"seconds": time.perf_counter() - started}


def batches(config: Spec, splits: Splits, worker: Worker, *, seed: int | None = None) -> Batches:
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
        channels_last=worker.device.type == "cuda",
    )


def shelves(
    config: Spec,
    precision: str,
    resident: Resident,
    loop: Batches,
    worker: Worker,
    outputs: Mapping[tuple[str, str], tuple[int, ...]],
    graded: Collection[str] = (),
) -> Shelves | None:
    """Where the bank keeps some outputs of a config's teachers; None where it keeps none.

    Args:
        config: Names the teachers.
        precision: In which they are run.
        resident: Holds them.
        loop: The batches that they see.
        worker: Which of them are its own.
        outputs: The shape for one image of each, by teacher and layer.
        graded: The teachers whose gradients for the images are asked for too: of these it keeps nothing.
    """
    bank = resident.bank(config)
    if bank is None:
        return None
    for name in graded:
        why = "a loss asks for its gradients for the images, which are not kept"
        bank.once(f"the teacher '{name}' is run, not read from the bank: {why}", logging.INFO)
    outputs = {output: shape for output, shape in outputs.items() if output[0] not in graded}
    if not outputs:
        return None
    common = {
        "images": resident.splits(config).digest,
        "device": worker.device.type,
        "precision": precision,
    }
    teachers = config.tree("teachers")["teachers"]
    about = {
        name: {"teacher": name, "model": teachers[name]["model"], "weights": resident.digest(config, name)}
        | common
        for name in {teacher for teacher, _ in outputs}
    }
    # A last digit may depend on how many images a teacher is shown at a time.
    batch = {"batch": loop.rows // len(loop)}
    if not loop.augmented:
        return Shelves(bank, config.bank, outputs, about, loop, batch)
    augment = {"augment": config.data.augment.model_dump()}
    views = augment | batch | {"seed": loop.seed, "worker": f"{worker.rank} of {worker.world_size}"}
    lasting = augment if all_outcomes(config, loop) else None
    return Shelves(bank, config.bank, outputs, about, loop, views, lasting)


def all_outcomes(config: Spec, loop: Batches) -> bool:
    """Whether logits are kept for every way in which an image can be seen, and not for a seed.

    Left to itself it is where this takes no more room and no more runs of a teacher. In fp32 it is not: views
    are then the same bit for bit with the bank and without, and of outcomes the last digit may differ.
    """
    if config.bank.outcomes is None:
        fewer = 0 < loop.outcomes <= (config.data.views or config.optim.epochs)
        return fewer and config.bank.dtype == "fp16"
    return config.bank.outcomes and loop.outcomes > 0


#: Given the last two arguments of `shelves`.
Keep = Callable[[Mapping[tuple[str, str], tuple[int, ...]], Collection[str]], Shelves | None]


def assemble(
    config: Spec,
    losses: Mapping[str, Loss],
    student: nn.Module,
    resident: Resident,
    splits: Splits,
    *,
    keep: Keep = lambda outputs, graded: None,
) -> tuple[Teachers, Objective]:
    """The teachers that some losses of a config need, and its student with these, ready to be trained."""
    use = config.distill.teachers
    members = tuple(use.members)
    frozen = {name: resident.teacher(config, name) for name in config.teachers}
    needs = {need for loss in losses.values() for need in find("loss", loss.part).needs}
    tapped = not needs.isdisjoint(("student_feature", "student_features"))
    sides = Sides(
        student=_layers(student, splits) if tapped else ([], []),
        teachers={name: _layers(model, splits) for name, model in frozen.items()} if tapped else {},
        members=members,
        examples=len(splits.train),
        classes=len(splits.classes),
    )
    terms = list(make_terms(losses, sides))
    if isinstance(student, reused) and members:
        student.adopt(frozen[members[0]], splits.shape)
    combine = Combination(use.combine, members, len(splits.classes), use.dropout)
    hinted = {name: paths for name in frozen if (paths := _hinted(name, terms, sides))}
    # The weights of several teachers may follow from their outputs, and weigh their hints too.
    asked = any(term.of_members or (term.teacher in members and len(members) > 1) for term in terms)
    answering = members if asked else ()
    models = {name: model for name, model in frozen.items() if name in hinted or name in answering}
    known = {
        name: torch.tensor([splits.classes.index(c) for c in names])
        for name in frozen
        if (names := config.teachers[name].classes)
    }
    sizes = {(n, layer.path): layer.shape for n in hinted for layer in sides.teachers[n][1]}
    outputs = {(n, path): sizes[n, path] for n, paths in hinted.items() for path in paths}
    outputs |= {(n, LOGITS): (len(known.get(n, splits.classes)),) for n in answering}
    gradients = "teacher_image_gradient" in needs
    teachers = Teachers(
        models,
        answering,
        hinted,
        classes=len(splits.classes),
        gradients=gradients,
        known=known,
        shelves=keep(outputs, answering if gradients else ()) if outputs else None,
    )
    return teachers, Objective(student, terms, members, combine)


def _layers(model: nn.Module, splits: Splits) -> tuple[list[Layer], list[Layer]]:
    return hintable_layers(model, splits.shape), all_layers(model, splits.shape)


def _hinted(name: str, terms: list[Term], sides: Sides) -> tuple[str, ...]:
    """The layers of a teacher that some term looks at, in the order in which they run."""
    wanted = {path for term in terms for teacher, path in term.teacher_layers if teacher == name}
    return tuple(layer.path for layer in sides.teachers[name][1] if layer.path in wanted) if wanted else ()
