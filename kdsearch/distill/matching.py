"""From the depths and the rules that a space draws to the layers of the models at hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kdsearch import models
from kdsearch.distill.layers import Layer, Layers, find_layers, resolve
from kdsearch.errors import InputError
from kdsearch.registry import Part, find
from kdsearch.space import describe_model, map_losses, reusing
from kdsearch.types import Shape

#: The layers of a model config.
LayersOf = Callable[[Mapping[str, Any]], Layers]
Pair = tuple[Layer, Layer]


def layers_of(config: Mapping[str, Any], shape: Shape, classes: int) -> Layers:
    """The layers of the model that a config names.

    Raises:
        InputError: When it cannot be built, or fails on an image.
    """
    model = models.build(config, shape, classes, seed=0)
    try:
        return find_layers(model, shape)
    except Exception as error:
        raise InputError(f"model '{config['name']}' fails on images of shape {shape}: {error}") from error


def match_layers(config: Mapping[str, Any], layers: LayersOf) -> dict[str, Any]:
    """The config with every pair of a matching given by layer paths, and its student as it will be built.

    Of the pairs that were drawn, those that would use a layer twice or cross another are left out, and so are
    all pairs of a loss that has no use for the layers there are.

    Raises:
        InputError: When a path names no layer.
    """

    def matched(place: str, loss: Mapping[str, Any]) -> Mapping[str, Any]:
        if not loss.get("match"):
            return loss
        made = []
        for match in loss["match"]:
            sides = config["student"], config["teachers"][match["teacher"]]["model"]
            try:
                pairs = _pairs(match["pairs"], find("loss", loss["name"]), sides, layers)
            except InputError as error:
                raise InputError(f"distill.{place}.match: {error}") from None
            made.append({"teacher": match["teacher"], "pairs": pairs})
        return {**loss, "match": made}

    config = reusing(config)
    return {**config, "distill": map_losses(config["distill"], matched)}


def _pairs(
    pairs: Any, part: Part, models: tuple[Mapping[str, Any], Mapping[str, Any]], layers: LayersOf
) -> list[list[str]] | str:
    """Pairs by paths. A loss may need maps (its fact `positions`), or several pairs (its fact `pairs`)."""
    (hints, every), (their_hints, their_every) = (layers(model) for model in models)
    if part.facts.get("positions"):
        hints, their_hints = ([x for x in side if _has_positions(x)] for side in (hints, their_hints))
    if not (hints and their_hints):
        return []
    if pairs == "all":
        return "all"
    if isinstance(pairs, Mapping):
        found: Iterable[Pair] = by_rule(pairs["rule"], hints, their_hints, pairs["count"], pairs["seed"])
    else:
        student, teacher = (
            f"the {who} {describe_model(model)}"
            for who, model in zip(("student", "teacher"), models, strict=True)
        )
        named = [
            (
                resolve(near, every if isinstance(near, str) else hints, student),
                resolve(far, their_every if isinstance(far, str) else their_hints, teacher),
                isinstance(near, float) or isinstance(far, float),
            )
            for near, far in pairs
        ]
        found = _in_order(named, every, their_every)
    paths = [[near.path, far.path] for near, far in found]
    return paths if len(paths) >= part.facts.get("pairs", 1) else []


def _in_order(named: list[tuple[Layer, Layer, bool]], every: list[Layer], others: list[Layer]) -> list[Pair]:
    """Without the pairs that were drawn and do not lie beyond the one before on both sides."""
    found, reached = [], (-1, -1)
    for near, far, drawn in named:
        place = every.index(near), others.index(far)
        if drawn and not (place[0] > reached[0] and place[1] > reached[1]):
            continue
        reached = place
        found.append((near, far))
    return found


def by_rule(rule: str, student: list[Layer], teacher: list[Layer], count: int, seed: int) -> list[Pair]:
    """The pairs of a matching that needs no search.

    `last` pairs the last layers. `uniform` pairs `count` layers spread evenly over the depth of each, the
    last among them. `stage_to_stage` pairs the last layers at each resolution, counted from the last.
    `random` pairs `count` layers of each in any order, crossing or not: a control.
    """
    match rule:
        case "none":
            return []
        case "last":
            return [(student[-1], teacher[-1])]
        case "uniform":
            count = min(count, len(student), len(teacher))
            return [(_spread(student, i, count), _spread(teacher, i, count)) for i in range(1, count + 1)]
        case "stage_to_stage":
            ends = zip(reversed(_stage_ends(student)), reversed(_stage_ends(teacher)), strict=False)
            return list(ends)[::-1]
    draw = random.Random(seed)
    count = min(count, len(student), len(teacher))
    return list(zip(draw.sample(student, count), draw.sample(teacher, count), strict=True))


def _spread(layers: list[Layer], index: int, count: int) -> Layer:
    return layers[round(index * len(layers) / count) - 1]


def _stage_ends(layers: list[Layer]) -> list[Layer]:
    """The last layer at each resolution; vectors have one of their own."""
    return list({layer.shape[1:]: layer for layer in layers}.values())


def _has_positions(layer: Layer) -> bool:
    return len(layer.shape) == 3 and layer.shape[1] * layer.shape[2] > 1
