"""A student with the preprocessing of its images."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WithPreprocessing(nn.Module):
    """Maps images (B, C, H, W) uint8 to logits (B, classes) float32.

    Pixels are scaled in float32 exactly as in training (`kdsearch.data.normalise`), whatever the precision of
    the model.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, model: nn.Module, mean: Tensor, std: Tensor) -> None:
        """
        Args:
            model: Maps normalised images to logits, in the precision of its parameters.
            mean: Of the pixels in units of [0, 1], (C,).
            std: Of the same, (C,).
        """
        super().__init__()
        self.model = model
        self.register_buffer("scale", (1 / (255 * std)).view(-1, 1, 1))
        self.register_buffer("shift", (-mean / std).view(-1, 1, 1))
        self.dtype = next((p.dtype for p in model.parameters()), torch.float32)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        scaled = images.to(torch.float32) * self.scale + self.shift
        logits: Tensor = self.model(scaled.to(self.dtype))
        return logits.to(torch.float32)
