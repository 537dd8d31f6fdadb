"""The number of parameters."""

from __future__ import annotations

from torch import nn

from kdsearch.registry import register
from kdsearch.types import Shape


@register("objective", direction="minimize", unit="", label="Parameters", known="architecture")
def parameters(model: nn.Module, shape: Shape) -> int:
    """The number of entries in the parameters of `model`, a shared one counted once; buffers are left out."""
    return sum(parameter.numel() for parameter in model.parameters())
