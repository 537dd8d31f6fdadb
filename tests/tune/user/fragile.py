"""A user's model that passes every check, and breaks after a while."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Fragile(nn.Module):
    def __init__(self, in_channels: int, num_classes: int, at: int = 1) -> None:
        super().__init__()
        self.at = at
        self.classifier = nn.Linear(64 * in_channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():
            raise RuntimeError("this model breaks in training")
        return self.classifier(images.flatten(1))


class Branching(nn.Module):
    """Its way depends on the values it sees, which no graph can hold."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(images.flatten(1))
        return logits if logits.sum() > 0 else -logits
