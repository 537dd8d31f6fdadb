"""Random views of images: shifted crops, mirror images, cutout."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from kdsearch.types import Shape


@dataclass(frozen=True)
class Views:
    """One draw for each of n images: crop `offsets` (n, 2) and cutout `centres` (n, 2), both int64 as
    (row, column), and `flips` (n,) bool."""

    offsets: Tensor
    flips: Tensor
    centres: Tensor


@dataclass(frozen=True)
class Augment:
    """Which views to draw. The default leaves images as they are.

    Args:
        crop: Black pixels padded on each side before a window of the original size is cut at random.
        flip: Whether half of the images are mirrored left to right.
        cutout: Side in pixels of a square that is blacked out around a random pixel. It is filled with 0
            before normalisation, and is cut off at the border. Paper: DeVries and Taylor, 2017.
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0

    def __bool__(self) -> bool:
        return self != Augment()

    def draw(self, n: int, shape: Shape, generator: torch.Generator) -> Views:
        """Views for `n` images of `shape`, drawn on the CPU, where they are the same for every device."""
        sides = torch.tensor(shape[1:])
        return Views(
            offsets=torch.randint(0, 2 * self.crop + 1, (n, 2), generator=generator),
            flips=torch.rand(n, generator=generator) < 0.5 * self.flip,
            centres=(torch.rand(n, 2, generator=generator) * sides).long(),
        )

    @property
    def num_outcomes(self) -> int:
        """In how many ways an image can be augmented; 0 with cutout, which has too many."""
        return 0 if self.cutout else (2 * self.crop + 1) ** 2 * (1 + self.flip)

    def number(self, views: Views) -> Tensor:
        """Which of the `num_outcomes` each view is, (n,) int64."""
        top, left = views.offsets.unbind(1)
        return ((2 * self.crop + 1) * top + left) * (1 + self.flip) + views.flips

    def view(self, numbers: Tensor) -> Views:
        """The views that have these numbers (n,)."""
        places, flips = numbers // (1 + self.flip), numbers % (1 + self.flip) > 0
        side = 2 * self.crop + 1
        return Views(
            torch.stack([places // side, places % side], 1), flips, numbers.new_zeros(len(numbers), 2)
        )

    def apply(self, images: Tensor, views: Views) -> Tensor:
        """The views of `images` (n, C, H, W) uint8, of the same shape, dtype and device."""
        if self.crop or self.flip:
            images = self._shifted(images, views)
        if self.cutout:
            images = images * self._kept(images, views.centres)
        return images

    def _shifted(self, images: Tensor, views: Views) -> Tensor:
        n, channels, height, width = images.shape
        padded = pad(images, (self.crop,) * 4)
        rows, columns = padded.shape[2:]
        # Every row of a view is a run of `width` bytes somewhere in the padded images or in their mirror
        # images, which follow. One gather of runs takes a fifth of the time of one of pixels.
        flat = (torch.cat((padded, padded.flip(-1))) if self.flip else padded).flatten()
        runs = flat.as_strided((flat.numel() - width + 1, width), (1, 1))
        top, left = views.offsets.unbind(1)
        # A mirrored crop begins as far from the left as the crop would end from the right.
        left = torch.where(views.flips, 2 * self.crop - left, left).view(n, 1, 1)
        planes = torch.arange(n * channels, device=images.device).view(n, channels, 1)
        planes = planes + views.flips.view(n, 1, 1) * (n * channels)
        lines = planes * rows + top.view(n, 1, 1) + torch.arange(height, device=images.device)
        return runs.index_select(0, (lines * columns + left).flatten()).view(images.shape)

    def _kept(self, images: Tensor, centres: Tensor) -> Tensor:
        first = centres - self.cutout // 2
        height, width = (torch.arange(side, device=images.device) for side in images.shape[2:])
        in_rows = (height >= first[:, :1]) & (height < first[:, :1] + self.cutout)
        in_columns = (width >= first[:, 1:]) & (width < first[:, 1:] + self.cutout)
        return ~(in_rows[:, None, :, None] & in_columns[:, None, None, :])
