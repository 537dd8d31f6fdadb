"""Distillation in the plainest PyTorch that is correct: what kdsearch's own loop is held against.

As a process, `python -m benchmarks.plain`, it takes the time of each config of a list.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.child import asked
from kdsearch import models
from kdsearch.distill.resident import Splits, load_dataset, split

#: The seed of the split, and the share held out for validation.
SEED, VALIDATION = 0, 0.25
BATCH = 64


@dataclass(frozen=True)
class Recipe:
    """What a student is trained with, beside cross-entropy."""

    lr: float
    batch: int
    epochs: int
    temperature: float = 4.0
    kd: float = 0.0
    hint: float = 0.0
    layer: str = ""
    """Whose output, of the teacher's and the student's module of this path, the hint compares."""


def fit(
    student: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    teacher: nn.Module | None = None,
    regressor: nn.Module | None = None,
) -> float:
    """Train a student on images (N, C, H, W) and labels (N,) in memory; returns its last mean loss."""
    features: dict[nn.Module, Tensor] = {}
    hooks = []
    if recipe.hint:
        assert teacher is not None and regressor is not None
        source, target = teacher.get_submodule(recipe.layer), student.get_submodule(recipe.layer)
        hooks = [
            m.register_forward_hook(lambda m, _, out: features.update({m: out})) for m in (source, target)
        ]
    parameters = [*student.parameters(), *(regressor.parameters() if regressor is not None else ())]
    optimizer = torch.optim.SGD(
        parameters, recipe.lr, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
    )
    steps = len(images) // recipe.batch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs * steps)
    mean = math.nan
    for _ in range(recipe.epochs):
        student.train()
        running = torch.zeros(())
        for chosen in torch.randperm(len(images))[: steps * recipe.batch].view(steps, -1):
            batch = images[chosen]
            if teacher is not None:
                with torch.no_grad():
                    taught = teacher(batch)
            logits = student(batch)
            loss = F.cross_entropy(logits, labels[chosen])
            if teacher is not None:
                soft = F.kl_div(
                    F.log_softmax(logits / recipe.temperature, 1),
                    F.log_softmax(taught / recipe.temperature, 1),
                    reduction="batchmean",
                    log_target=True,
                )
                loss = loss + recipe.kd * recipe.temperature**2 * soft
                if regressor is not None:
                    loss = loss + recipe.hint * F.mse_loss(regressor(features[target]), features[source])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            running += loss.detach()
        mean = float(running) / steps
    for hook in hooks:
        hook.remove()
    return mean


def digits() -> Splits:
    """The digits, split as the benchmarks' specs ask for."""
    from kdsearch.spec import load_spec

    spec = load_spec({"data": {"source": "digits"}, "student": {"name": "mlp"}})
    return split(load_dataset(spec.data), VALIDATION, SEED)


def normalised(splits: Splits) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images float32 and labels, to train on and to validate on."""
    from kdsearch.data import normalise

    train, held_out = splits.train, splits.validation
    return (
        normalise(train.images, splits.mean, splits.std),
        train.labels,
        normalise(held_out.images, splits.mean, splits.std),
        held_out.labels,
    )


def train(config: dict[str, Any], tensors: tuple[Tensor, Tensor, Tensor, Tensor]) -> dict[str, float]:
    """One epoch of a student on the digits, and its score.

    Args:
        config: `lr`, and `width` and `depth` of a convnet.
        tensors: See `normalised`.
    """
    images, labels, held_out, truth = tensors
    model = {"name": "convnet", "width": config["width"], "depth": config["depth"]}
    student = models.build(model, (1, 8, 8), 10, seed=SEED)
    loss = fit(student, images, labels, Recipe(config["lr"], BATCH, 1))
    student.eval()
    with torch.no_grad():
        accuracy = (student(held_out).argmax(1) == truth).float().mean().item()
    size = sum(p.numel() for p in student.parameters())
    return {"accuracy": accuracy, "parameters": size, "loss": loss}


def main() -> None:
    """Answer a list of configs with the seconds that each takes to train."""
    configs, out = asked()
    torch.set_num_threads(1)
    tensors = normalised(digits())
    train(configs[0], tensors)
    seconds = []
    for config in configs:
        start = time.perf_counter()
        train(config, tensors)
        seconds.append(time.perf_counter() - start)
    out.write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
