"""The phases of a training: the stages of a config, and what comes after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kdsearch.spec import Loss, Optim, Spec


@dataclass(frozen=True)
class TrainingPhase:
    """Epochs trained on the same losses by one optimiser."""

    losses: Mapping[str, Loss]
    optim: Optim
    epochs: range


def phases(config: Spec) -> list[TrainingPhase]:
    """Every phase that has an epoch, in order; together they are `optim.epochs` long.

    Shares of them are rounded. The last phase has one epoch at the least, whatever the stages ask for.
    """
    total, start = config.optim.epochs, 0
    found: list[TrainingPhase] = []
    for stage in config.distill.stages:
        length = stage.epochs if stage.epochs is not None else round((stage.fraction or 0) * total)
        end = min(start + length, total - 1)
        if end > start:
            found.append(TrainingPhase(stage.losses, stage.optim or config.optim, range(start, end)))
        start = end
    return [*found, TrainingPhase(config.distill.losses, config.optim, range(start, total))]
