"""What the families of this package share."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from kdsearch.errors import InputError


def named(**modules: nn.Module) -> nn.Sequential:
    """A sequence of modules that are reached by name: `stage1.conv` rather than `1.0`."""
    return nn.Sequential(OrderedDict(modules))


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A 3 by 3 convolution that keeps the resolution at stride 1. No bias: a batch norm follows."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def he_initialised(model: nn.Sequential) -> nn.Sequential:
    """`model`, its convolutions drawn from N(0, 2 / fan_out). Paper: He et al., 2015."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def blocks_per_stage(family: str, depth: int, extra: int) -> int:
    """n, where depth = 6n + extra: three stages of n blocks of two convolutions.

    Raises:
        InputError: When the depth is not of that form; it names the nearest one that is.
    """
    blocks = max(1, round((depth - extra) / 6))
    if (valid := 6 * blocks + extra) != depth:
        raise InputError(f"{family}: depth {depth} is not of the form 6n+{extra}; the nearest is {valid}")
    return blocks
