"""Fully connected networks."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from torch import nn

from kdsearch.models._layers import named
from kdsearch.registry import register
from kdsearch.types import Fraction, PositiveInt, Shape


@register("model", paper="Rosenblatt, 1958")
def mlp(
    shape: Shape, classes: int, *, hidden: tuple[PositiveInt, ...] = (256, 256), dropout: Fraction = 0.0
) -> nn.Sequential:
    """A fully connected network on the flattened image. Layers: `flatten`, `layer1` …, `classifier`.

    Maps images (B, C, H, W) to logits (B, classes).

    Args:
        hidden: Units of each hidden layer.
        dropout: Share of hidden units that are dropped while training.
    """
    layers = {
        f"layer{i}": named(linear=nn.Linear(a, b), relu=nn.ReLU(), dropout=nn.Dropout(dropout))
        for i, (a, b) in enumerate(pairwise((prod(shape), *hidden)), start=1)
    }
    width = hidden[-1] if hidden else prod(shape)
    return named(flatten=nn.Flatten(), **layers, classifier=nn.Linear(width, classes))
