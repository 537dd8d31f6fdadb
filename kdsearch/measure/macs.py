"""Multiply-accumulates of one forward pass."""

from __future__ import annotations

import torch
from torch import nn

from kdsearch.measure._evaluation import evaluation, image_for
from kdsearch.registry import register
from kdsearch.types import Shape


@register("objective", direction="minimize", unit="", label="MACs", known="architecture")
def macs(model: nn.Module, shape: Shape) -> int:
    """Multiply-accumulates of `model` on one image of `shape` (C, H, W).

    Those of convolutions, matrix products and attention, as `torch.utils.flop_counter` counts them (two
    floating-point operations each); additions of biases and elementwise functions are left out, as in the
    literature. A model on the meta device is counted without being computed.
    """
    from torch.utils.flop_counter import FlopCounterMode

    # PyTorch's fused path for attention in evaluation is one operator of which the counter knows nothing.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with evaluation(model), FlopCounterMode(display=False) as counter:
            model(image_for(model, shape))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops()) // 2
