"""From the depths that a space draws to the layers of the models at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from kdsearch import models
from kdsearch.distill.layers import Layer, all_layers, hintable_layers, resolve
from kdsearch.errors import InputError
from kdsearch.space import describe_model
from kdsearch.types import Shape

#: The layers of a model config: (hintable ones, all).
Layers = Callable[[Mapping[str, Any]], tuple[list[Layer], list[Layer]]]


def layers_of(config: Mapping[str, Any], shape: Shape, classes: int) -> tuple[list[Layer], list[Layer]]:
    """The hintable layers, and all layers, of the model that a config names. No weights are made for it."""
    with torch.device("meta"):
        model = models.build(config, shape, classes)
    return hintable_layers(model, shape), all_layers(model, shape)


def match_layers(config: Mapping[str, Any], layers: Layers) -> dict[str, Any]:
    """The config with every pair of a matching given by layer paths.

    Pairs that would use a layer twice, or cross another pair, are left out.

    Raises:
        InputError: When a path names no layer.
    """
    losses = {}
    for label, loss in config["distill"]["losses"].items():
        if match := loss.get("match"):
            student, teacher = config["student"], config["teachers"][match["teacher"]]["model"]
            try:
                pairs = _pairs(match["pairs"], layers(student), layers(teacher), student, teacher)
            except InputError as error:
                raise InputError(f"distill.losses.{label}.match: {error}") from None
            loss = {**loss, "match": {**match, "pairs": pairs}}
        losses[label] = loss
    return {**config, "distill": {**config["distill"], "losses": losses}}


def _pairs(
    pairs: list[list[str | float]],
    student_layers: tuple[list[Layer], list[Layer]],
    teacher_layers: tuple[list[Layer], list[Layer]],
    student: Mapping[str, Any],
    teacher: Mapping[str, Any],
) -> list[list[str]]:
    found: list[list[str]] = []
    reached = (-1, -1)
    for near, far in pairs:
        left = _resolve(near, student_layers, f"the student {describe_model(student)}")
        right = _resolve(far, teacher_layers, f"the teacher {describe_model(teacher)}")
        place = student_layers[1].index(left), teacher_layers[1].index(right)
        drawn = isinstance(near, float) or isinstance(far, float)
        if drawn and not (place[0] > reached[0] and place[1] > reached[1]):
            continue
        reached = place
        found.append([left.path, right.path])
    return found


def _resolve(reference: str | float, layers: tuple[list[Layer], list[Layer]], model: str) -> Layer:
    hintable, every = layers
    return resolve(reference, every if isinstance(reference, str) else hintable, model)
