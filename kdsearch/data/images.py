"""Labelled images held whole in memory: what every source returns and every batch is cut from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kdsearch.types import Shape


@dataclass(frozen=True)
class Images:
    """Images (N, C, H, W) uint8 and their labels (N,) int64, on one device."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def __getitem__(self, indices: Tensor | slice) -> Images:
        return Images(self.images[indices], self.labels[indices])

    def to(self, device: torch.device | str) -> Images:
        """The same on another device."""
        return Images(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Images to learn from, images that only the final score sees, and the name of each class."""

    train: Images
    test: Images | None
    classes: tuple[str, ...]

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        return self.train.shape
