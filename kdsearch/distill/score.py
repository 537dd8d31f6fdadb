"""Scores a model on a split: every figure that follows from its predictions."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from kdsearch.data import Images
from kdsearch.distill.evaluate import predict
from kdsearch.distill.resident import Resident, SplitName, Splits
from kdsearch.measure import (
    Figure,
    basis_of,
    class_accuracies,
    figure,
    figures_of,
    measure_architecture,
    measure_predictions,
    measure_trained,
)
from kdsearch.registry import parts
from kdsearch.spec import Spec


def score_architecture(model: nn.Module, config: Spec, shape: tuple[int, int, int]) -> dict[str, float]:
    """Those of a config's figures that follow from its student's architecture and form, by metric.

    Args:
        model: The student, trained or not.
        config: Names the figures.
        shape: (C, H, W) of an image.
    """
    tree = config.tree("student", "deploy")
    return measure_architecture(
        model,
        shape,
        figures_of(config),
        architecture=tree["student"],
        deploy=tree["deploy"],
        bases=("architecture",),
    )


def score(
    model: nn.Module,
    config: Spec,
    resident: Resident,
    figures: Iterable[Figure],
    split: SplitName = "validation",
) -> dict[str, float]:
    """Those of the figures that follow from predictions on a split, by metric."""
    splits = resident.placed(config)
    logits, labels = predict(model, splits.scored(split), splits.mean, splits.std, device=resident.device)
    figures = list(figures)
    return measure_predictions(
        logits,
        labels,
        figures,
        classes=splits.classes,
        teacher_logits=_teacher_logits(config, resident, figures, split),
        members=config.distill.teachers.members,
    )


def score_trained(
    model: nn.Module,
    config: Spec,
    resident: Resident,
    figures: Iterable[Figure],
    split: SplitName = "validation",
) -> dict[str, float]:
    """Those of the figures that show the trained student images of their own making, by metric."""
    splits = resident.splits(config)
    images = splits.scored(split)
    answer = answering(model, splits, resident.device)
    return measure_trained(answer, images.images, images.labels, figures, classes=splits.classes)


def free_figures(config: Spec) -> list[Figure]:
    """Every built-in objective that follows from predictions and needs no option, for the end of a search.

    Those that compare with teachers are included only for a student that has some.
    """
    following = [part for part in parts("objective").values() if basis_of(part) == "predictions"]
    taught = bool(config.distill.teachers.members)
    return [figure(part.name) for part in following if taught or "teacher_logits" not in part.needs]


def write_classes(model: nn.Module, config: Spec, resident: Resident, file: Path) -> None:
    """Write a CSV with a row for each split and class: how many images it has, and the accuracy on them."""
    splits = resident.placed(config)
    names: list[SplitName] = ["validation", "test"] if splits.test is not None else ["validation"]
    with file.open("w", encoding="utf-8", newline="") as opened:
        rows = csv.writer(opened, lineterminator="\n")
        rows.writerow(("split", "class", "images", "accuracy"))
        for split in names:
            images = splits.scored(split)
            logits, labels = predict(model, images, splits.mean, splits.std, device=resident.device)
            counts = labels.bincount(minlength=len(splits.classes)).tolist()
            accuracies = class_accuracies(logits, labels).tolist()
            for name, count, accuracy in zip(splits.classes, counts, accuracies, strict=True):
                rows.writerow((split, name, count, accuracy if count else ""))


def answering(model: nn.Module, splits: Splits, device: torch.device) -> Callable[[Tensor], Tensor]:
    """`model` as a function of images (n, C, H, W) uint8 to logits (n, classes), both on the CPU."""

    def answer(images: Tensor) -> Tensor:
        unlabelled = Images(images, torch.zeros(len(images), dtype=torch.int64))
        return predict(model, unlabelled, splits.mean, splits.std, device=device)[0]

    return answer


def _teacher_logits(
    config: Spec, resident: Resident, figures: Iterable[Figure], split: SplitName
) -> Mapping[str, Tensor]:
    """The logits for a split of the teachers that some figure compares with."""
    asking = [figure for figure in figures if "teacher_logits" in figure.part.needs]
    if not asking:
        return {}
    named = {figure.options.get("teacher") for figure in asking}
    looked_at = [name for name in config.teachers if name in named or name in config.distill.teachers.members]
    return {name: resident.teacher_logits(config, name, split) for name in looked_at}
