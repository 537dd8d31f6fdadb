"""From the depths that a space draws to the layers of the models at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from kdsearch import models
from kdsearch.distill.layers import Layer, all_layers, hintable_layers, resolve
from kdsearch.errors import InputError
from kdsearch.registry import Part, find
from kdsearch.space import describe_model
from kdsearch.types import Shape

#: The layers of a model config: (hintable ones, all).
Layers = Callable[[Mapping[str, Any]], tuple[list[Layer], list[Layer]]]


def layers_of(config: Mapping[str, Any], shape: Shape, classes: int) -> tuple[list[Layer], list[Layer]]:
    """The hintable layers, and all layers, of the model that a config names."""
    model = models.build(config, shape, classes, seed=0)
    return hintable_layers(model, shape), all_layers(model, shape)


def match_layers(config: Mapping[str, Any], layers: Layers) -> dict[str, Any]:
    """The config with every pair of a matching given by layer paths.

    Of the pairs that were drawn, those that would use a layer twice or cross another are left out, and so are
    all pairs of a loss that has no use for the layers there are.

    Raises:
        InputError: When a path names no layer.
    """
    losses = {}
    for label, loss in config["distill"]["losses"].items():
        if match := loss.get("match"):
            sides = config["student"], config["teachers"][match["teacher"]]["model"]
            try:
                pairs = _pairs(match["pairs"], find("loss", loss["name"]), sides, layers)
            except InputError as error:
                raise InputError(f"distill.losses.{label}.match: {error}") from None
            loss = {**loss, "match": {**match, "pairs": pairs}}
        losses[label] = loss
    return {**config, "distill": {**config["distill"], "losses": losses}}


def _pairs(
    pairs: list[list[str | float]] | Literal["all"],
    part: Part,
    models: tuple[Mapping[str, Any], Mapping[str, Any]],
    layers: Layers,
) -> list[list[str]] | Literal["all"]:
    """Pairs by paths. A loss may need maps (its fact `positions`), or several pairs (its fact `pairs`)."""
    (hints, every), (their_hints, their_every) = (layers(model) for model in models)
    if part.facts.get("positions"):
        hints, their_hints = ([x for x in side if _has_positions(x)] for side in (hints, their_hints))
    if not (hints and their_hints):
        return []
    if pairs == "all":
        return "all"
    student, teacher = (
        f"the {who} {describe_model(model)}"
        for who, model in zip(("student", "teacher"), models, strict=True)
    )
    found: list[list[str]] = []
    reached = (-1, -1)
    for near, far in pairs:
        left = resolve(near, every if isinstance(near, str) else hints, student)
        right = resolve(far, their_every if isinstance(far, str) else their_hints, teacher)
        place = every.index(left), their_every.index(right)
        drawn = isinstance(near, float) or isinstance(far, float)
        if drawn and not (place[0] > reached[0] and place[1] > reached[1]):
            continue
        reached = place
        found.append([left.path, right.path])
    return found if len(found) >= part.facts.get("pairs", 1) else []


def _has_positions(layer: Layer) -> bool:
    return len(layer.shape) == 3 and layer.shape[1] * layer.shape[2] > 1
