"""A user's model that cannot be built, or cannot be run, between its extremes."""

from __future__ import annotations

from torch import Tensor, nn


class Gappy(nn.Module):
    """An MLP whose width must not be odd, nor 6."""

    def __init__(self, in_channels: int, num_classes: int, width: int) -> None:
        super().__init__()
        if width % 2:
            raise KeyError(f"no layers for a width of {width}")
        self.hidden = nn.Linear(64 * in_channels, width)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        if self.hidden.out_features == 6:
            raise IndexError("six is too many")
        return self.classifier(self.hidden(images.flatten(1)).relu())
