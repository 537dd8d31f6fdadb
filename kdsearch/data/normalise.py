"""From bytes to zero mean and unit variance, channel by channel."""

from __future__ import annotations

import torch
from torch import Tensor

from kdsearch.data.images import Images


def statistics(images: Images, chunk: int = 4096) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, (C,) float32 both, of pixels in units of [0, 1].

    A channel that is constant has the standard deviation 1, so that it can be divided by.
    """
    channels = images.images.shape[1]
    counts = torch.zeros(channels, 256, dtype=torch.float64)
    for part in torch.split(images.images, chunk):
        for channel in range(channels):
            counts[channel] += part[:, channel].flatten().bincount(minlength=256).cpu()
    share = counts / counts.sum(1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ values
    std = (share * (values - mean[:, None]) ** 2).sum(1).sqrt()
    return mean.float(), torch.where(std > 0, std, 1.0).float()


def normalise(images: Tensor, mean: Tensor, std: Tensor, *, channels_last: bool = False) -> Tensor:
    """Images (B, C, H, W) uint8 as float32, less `mean` and over `std`, both (C,), in units of [0, 1]."""
    scale, shift = (1 / (255 * std)).view(-1, 1, 1), (-mean / std).view(-1, 1, 1)
    result = images.to(torch.float32).mul_(scale).add_(shift)
    # Last, because a change of layout while converting takes four times as long on a CPU.
    return result.contiguous(memory_format=torch.channels_last) if channels_last else result
