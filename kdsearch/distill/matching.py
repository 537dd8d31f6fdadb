"""Turns the depths and rules of a config into layers of its student and teachers."""

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

    Drawn pairs that would use a layer twice or cross another are left out, and so are all pairs of a loss
    that cannot use the layers of these models.

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
    pairs: Any, part: Part, sides: tuple[Mapping[str, Any], Mapping[str, Any]], layers: LayersOf
) -> list[list[str]] | str:
    """Pairs by paths. A loss may need maps (its fact `positions`), or several pairs (its fact `pairs`).

    `sides` are the configs of student and teacher.
    """
    (hints, every), (teacher_hints, teacher_every) = (layers(model) for model in sides)
    if part.facts.get("positions"):
        hints, teacher_hints = ([x for x in side if x.is_map] for side in (hints, teacher_hints))
    if not (hints and teacher_hints):
        return []
    if pairs == "all":
        return "all"
    if isinstance(pairs, Mapping):
        found: Iterable[Pair] = by_rule(pairs["rule"], hints, teacher_hints, pairs["count"], pairs["seed"])
    else:
        names = [
            f"the {side} {describe_model(model)}"
            for side, model in zip(("student", "teacher"), sides, strict=True)
        ]
        named = [
            (
                resolve(student, every if isinstance(student, str) else hints, names[0]),
                resolve(teacher, teacher_every if isinstance(teacher, str) else teacher_hints, names[1]),
                isinstance(student, float) or isinstance(teacher, float),
            )
            for student, teacher in pairs
        ]
        found = _in_order(named, every, teacher_every)
    paths = [[student.path, teacher.path] for student, teacher in found]
    return paths if len(paths) >= part.facts.get("pairs", 1) else []


def _in_order(named: list[tuple[Layer, Layer, bool]], every: list[Layer], others: list[Layer]) -> list[Pair]:
    """Leaves out drawn pairs that do not lie beyond the pair before on both sides."""
    found, reached = [], (-1, -1)
    for student, teacher, drawn in named:
        place = every.index(student), others.index(teacher)
        if drawn and not (place[0] > reached[0] and place[1] > reached[1]):
            continue
        reached = place
        found.append((student, teacher))
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
