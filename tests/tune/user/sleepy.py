"""A user's model that sleeps in training, for so long that it may look as if it hung."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn


class Sleepy(nn.Module):
    def __init__(self, in_channels: int, num_classes: int, seconds: float = 1.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.classifier = nn.Linear(64 * in_channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():
            time.sleep(self.seconds)
        return self.classifier(images.flatten(1))
