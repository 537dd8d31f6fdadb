"""Layers that can give or take hints: found by running a model once, and tapped while it trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kdsearch.errors import InputError, nearest


@dataclass(frozen=True)
class Layer:
    """A module whose output can be a hint, or learn from one. `shape` is that of one image's feature."""

    path: str
    shape: tuple[int, ...]

    @property
    def is_map(self) -> bool:
        """Whether its feature is a map (C, H, W) of more than one position."""
        return len(self.shape) == 3 and self.shape[1] * self.shape[2] > 1


class Layers(NamedTuple):
    """The layers of a model at which a hint is worth trying, and all that a spec may name."""

    hintable: list[Layer]
    every: list[Layer]


def find_layers(model: nn.Module, shape: tuple[int, ...]) -> Layers:
    """The layers of a model, as one forward pass meets them.

    Every module that returns one tensor counts. The last at each width or resolution is hintable, from input
    to output, without the final logits. A shape that only modules without parameters produce (a pooling
    between two stages) adds nothing and is left out, except for the last one: the vector that the classifier
    reads.

    Args:
        model: Any module that takes images (B, C, H, W).
        shape: (C, H, W) of an image.
    """
    every = _run_layers(model, shape)
    modules = dict(model.named_modules())
    groups: list[list[Layer]] = []
    for layer in every:
        if groups and _same(groups[-1][-1].shape, layer.shape):
            groups[-1].append(layer)
        else:
            groups.append([layer])
    features = groups[:-1]
    learned = [any(next(modules[x.path].parameters(), None) is not None for x in group) for group in features]
    kept = [
        g
        for n, (g, new) in enumerate(zip(features, learned, strict=True))
        if new or (n and n + 1 == len(features))
    ]
    return Layers(list({group[-1].path: group[-1] for group in kept}.values()), every)


def _run_layers(model: nn.Module, shape: tuple[int, ...]) -> list[Layer]:
    """Every module that returned one tensor, in the order in which they did."""
    seen: list[Layer] = []

    def note(path: str) -> Any:
        def hook(module: nn.Module, args: object, output: object) -> None:
            if isinstance(output, Tensor) and output.dim() >= 2:
                seen.append(Layer(path, tuple(output.shape[1:])))

        return hook

    handles = [m.register_forward_hook(note(path)) for path, m in model.named_modules() if path]
    training, device = model.training, next(model.parameters()).device
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(2, *shape, device=device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return seen


def _same(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two features differ in nothing but sides of length 1."""
    return [side for side in one if side > 1] == [side for side in other if side > 1]


def resolve(reference: str | float, layers: list[Layer], model: str) -> Layer:
    """The layer that a spec names by its path, or by its depth from 0 to 1 among the hintable ones.

    Raises:
        InputError: When there is no such layer, or none at all.
    """
    if not layers:
        raise InputError(f"{model} has no layer that could be matched")
    if isinstance(reference, str):
        for layer in layers:
            if layer.path == reference:
                return layer
        raise InputError(f"{model} has no layer '{reference}'{nearest(reference, (x.path for x in layers))}")
    return layers[min(int(reference * len(layers)), len(layers) - 1)]


class DeepEnough(Exception):  # noqa: N818
    """Raised out of a forward pass once every tapped layer has run."""


class Taps:
    """Catches the outputs of named modules whenever a model runs. Only these modules get a hook."""

    def __init__(self, model: nn.Module, paths: Iterable[str]) -> None:
        """
        Args:
            model: To be tapped.
            paths: Of its modules.
        """
        self.caught: dict[str, Tensor] = {}
        modules: Mapping[str, nn.Module] = dict(model.named_modules())
        distinct = list(dict.fromkeys(paths))
        self.stop: str | None = None
        """The layer at which a forward pass ends, by raising `DeepEnough`."""
        self._handles = [modules[path].register_forward_hook(self._catch(path)) for path in distinct]

    def _catch(self, path: str) -> Any:
        def hook(module: nn.Module, args: object, output: Tensor) -> None:
            self.caught[path] = output
            if path == self.stop:
                raise DeepEnough

        return hook

    def take(self) -> dict[str, Tensor]:
        """What was caught since the last call."""
        caught, self.caught = self.caught, {}
        return caught

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
