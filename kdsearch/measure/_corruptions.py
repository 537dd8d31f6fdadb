"""Common corruptions of images that need nothing but arithmetic, at five severities.

Each takes images (n, C, H, W) uint8 on the CPU, a severity from 1 to 5 and a generator, and returns images of
the same kind. The strengths are those of CIFAR-10-C for images smaller than 64 pixels, of ImageNet-C for
others; like these, values are cut off after the decimal point, not rounded.

Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions, 2019.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor
from torch.nn.functional import conv2d, pad

Corruption = Callable[[Tensor, int, Generator], Tensor]

SEVERITIES = range(1, 6)
_SMALL = 64


def noise(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Normal noise on every value."""
    scale = _strength(images, (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38), severity)
    return _bytes(images / 255 + scale * torch.randn(images.shape, generator=generator))


def blur(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """A Gaussian filter, cut off at four standard deviations, with the border repeated."""
    sigma = _strength(images, (0.4, 0.6, 0.7, 0.8, 1.0), (1.0, 2.0, 3.0, 4.0, 6.0), severity)
    reach = int(4 * sigma + 0.5)
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel /= kernel.sum()
    planes = (images / 255).flatten(0, 1)[:, None]
    planes = conv2d(pad(planes, (reach, reach, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    planes = conv2d(pad(planes, (0, 0, reach, reach), mode="replicate"), kernel.view(1, 1, -1, 1))
    return _bytes(planes.view(images.shape))


def contrast(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Every channel drawn towards its mean over the image."""
    factor = _strength(images, (0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05), severity)
    values = images / 255
    means = values.mean(dim=(2, 3), keepdim=True)
    return _bytes((values - means) * factor + means)


def jpeg(images: Tensor, severity: int, generator: Generator) -> Tensor:
    """Stored as JPEG and read back: in colour with three channels, otherwise channel by channel."""
    import numpy as np
    from PIL import Image

    quality = int(_strength(images, (80, 65, 58, 50, 40), (25, 18, 15, 10, 7), severity))
    colour = images.shape[1] == 3
    pictures = images.permute(0, 2, 3, 1) if colour else images.flatten(0, 1)
    read = []
    for picture in pictures.numpy():
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(picture)).save(file, "JPEG", quality=quality)
        read.append(np.asarray(Image.open(file)))
    stored = torch.from_numpy(np.stack(read))
    return stored.permute(0, 3, 1, 2).contiguous() if colour else stored.view(images.shape)


CORRUPTIONS: Mapping[str, Corruption] = {"noise": noise, "blur": blur, "contrast": contrast, "jpeg": jpeg}


def _strength(images: Tensor, small: tuple[float, ...], large: tuple[float, ...], severity: int) -> float:
    return (small if min(images.shape[2:]) < _SMALL else large)[severity - 1]


def _bytes(values: Tensor) -> Tensor:
    """Values in units of [0, 1] as uint8."""
    return (values.clamp(0, 1) * 255).to(torch.uint8)
