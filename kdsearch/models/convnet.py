"""Plain convolutional networks, small enough for digits."""

from __future__ import annotations

from torch import nn

from kdsearch.models._layers import conv3x3, he_initialised, named
from kdsearch.registry import register
from kdsearch.types import PositiveInt, Shape


@register("model", paper="Simonyan and Zisserman, 2015")
def convnet(shape: Shape, classes: int, *, width: PositiveInt = 16, depth: PositiveInt = 2) -> nn.Sequential:
    """Stages of convolution, batch norm and ReLU. Layers: `stage1` …, `pool`, `flatten`, `classifier`.

    Each stage doubles the channels and halves the resolution, as long as there is one to halve.
    Maps images (B, C, H, W) to logits (B, classes).

    Args:
        width: Channels of the first stage.
        depth: Number of stages.
    """
    channels, height, breadth = shape
    stages: dict[str, nn.Module] = {}
    for i in range(depth):
        halved = i > 0 and min(height, breadth) >> i > 0
        stages[f"stage{i + 1}"] = named(
            **({"pool": nn.MaxPool2d(2)} if halved else {}),
            conv=conv3x3(channels, width << i),
            norm=nn.BatchNorm2d(width << i),
            relu=nn.ReLU(),
        )
        channels = width << i
    head = named(**stages, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    head.add_module("classifier", nn.Linear(channels, classes))
    return he_initialised(head)
