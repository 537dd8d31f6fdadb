"""Pairs of images in one: mixup and cutmix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kdsearch.types import Shape


@dataclass(frozen=True)
class Mixes:
    """One draw for each of n images: the `partners` (n,) int64 that they are mixed with, and how.

    `shares` (n,) float32 are what an image has of the result, at least a half: of every pixel, or, where it
    is `cut` (n,) bool, of the area. `boxes` (n, 4) int64 are then the first and last row and column of a box,
    the last not included; the image itself is `inside` (n,) bool, or around it.
    """

    partners: Tensor
    shares: Tensor
    cut: Tensor
    boxes: Tensor
    inside: Tensor


@dataclass(frozen=True)
class Mixed:
    """What is mixed into each image of a batch: the label of the other (b,), and the `shares` (b,) that the
    image itself keeps, at least a half."""

    labels: Tensor
    shares: Tensor

    def weighed(self, own: Tensor, other: Tensor) -> Tensor:
        """What is between a loss (b,) for the labels of the images and one for those of the others."""
        return self.shares * own + (1 - self.shares) * other


@dataclass(frozen=True)
class Mix:
    """How pairs of images become one. The default leaves images as they are.

    In both the share λ of the first is drawn from Beta(α, α). Every image takes part twice in an epoch, once
    as the one with the larger share: the draw says which of a pair is the first. Each single mix is drawn as
    in the papers, and the labels and indices of a batch are true for most of what it shows. Partners are
    drawn from all images, as in the paper, not from a batch, as in its code: so a mix depends neither on the
    batch size nor on the number of workers.

    Args:
        mixup: α of λ · first + (1 − λ) · second. Paper: Zhang, Cisse, Dauphin and Lopez-Paz, 2018.
        cutmix: α of a box from the second, its sides √(1 − λ) of the first's, around a pixel drawn evenly. It
            is cut off at the border, and λ is then the area that is left of the first. Paper: Yun et al.,
            2019. With both, each image is mixed in one way or the other, at even odds.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def __bool__(self) -> bool:
        return self != Mix()

    def draw(self, n: int, shape: Shape, seed: int) -> Mixes:
        """Mixes for `n` images of `shape`, on the CPU."""
        rng = np.random.default_rng(seed)
        partners = rng.permutation(n)
        cut = rng.random(n) < (0.5 if self.mixup else 1.0) if self.cutmix else np.zeros(n, dtype=bool)
        first = np.where(cut, _beta(rng, self.cutmix, n), _beta(rng, self.mixup, n))
        sides = np.array(shape[1:])
        half = (sides * np.sqrt(1 - first)[:, None]).astype(np.int64) // 2
        centres = rng.integers(0, sides, (n, 2))
        low, high = np.maximum(centres - half, 0), np.minimum(centres + half, sides)
        first = np.where(cut, 1 - (high - low).prod(1) / sides.prod(), first)
        leads = first >= 0.5
        return Mixes(
            partners=torch.from_numpy(partners),
            shares=torch.from_numpy(np.where(leads, first, 1 - first).astype(np.float32)),
            cut=torch.from_numpy(cut),
            boxes=torch.from_numpy(np.stack([low, high], 2).reshape(n, 4)),
            inside=torch.from_numpy(~leads),
        )

    def apply(self, images: Tensor, others: Tensor, mixes: Mixes) -> Tensor:
        """The mixes of `images` and `others`, which are their partners, both (n, C, H, W) float32."""
        share = mixes.shares.view(-1, 1, 1, 1)
        if self.cutmix:
            height, width = (torch.arange(side, device=images.device) for side in images.shape[2:])
            top, bottom, left, right = mixes.boxes[:, :, None].unbind(1)
            in_rows, in_columns = (height >= top) & (height < bottom), (width >= left) & (width < right)
            boxed = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
            kept = boxed == mixes.inside.view(-1, 1, 1, 1)
            share = torch.where(mixes.cut.view(-1, 1, 1, 1), kept.to(share.dtype), share)
        return torch.lerp(others, images, share)


def _beta(rng: np.random.Generator, alpha: float, n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return rng.beta(alpha, alpha, n) if alpha else np.ones(n)
