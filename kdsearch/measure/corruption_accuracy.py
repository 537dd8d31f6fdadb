"""Robustness under common corruptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor

from kdsearch.errors import InputError
from kdsearch.measure._corruptions import CORRUPTIONS, SEVERITIES
from kdsearch.registry import register

_CHUNK = 512


@register("objective", direction="maximize", unit="fraction", label="Corruption accuracy", known="trained")
def corruption_accuracy(
    predict: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    *,
    corruptions: tuple[Literal["noise", "blur", "contrast", "jpeg"], ...] = (
        "noise",
        "blur",
        "contrast",
        "jpeg",
    ),
    severities: tuple[Literal[1, 2, 3, 4, 5], ...] = (1, 2, 3, 4, 5),
) -> float:
    """The mean accuracy on a split as each corruption leaves it at each severity, in [0, 1].

    The same for the same images, whatever the device: the noise follows from the corruption, the severity and
    the place of the image.

    Args:
        predict: Maps images (n, C, H, W) uint8 to logits (n, classes).
        images: (N, C, H, W) uint8, of the whole split.
        labels: (N,), class indices.
        corruptions: Those that count, all alike.
        severities: Those that count, all alike; 5 is the worst.

    Raises:
        InputError: Nothing is left to be taken.

    Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions, 2019.
    """
    if not corruptions or not severities:
        raise InputError("corruption_accuracy: name at least one corruption and one severity")
    each = [
        _accuracy(predict, _corrupted(images, name, severity), labels)
        for name in corruptions
        for severity in severities
    ]
    return sum(each) / len(each)


def _corrupted(images: Tensor, name: str, severity: int) -> Iterator[Tensor]:
    seed = list(CORRUPTIONS).index(name) * len(SEVERITIES) + severity
    generator = torch.Generator().manual_seed(seed)
    for part in torch.split(images.cpu(), _CHUNK):
        yield CORRUPTIONS[name](part, severity, generator)


def _accuracy(predict: Callable[[Tensor], Tensor], parts: Iterator[Tensor], labels: Tensor) -> float:
    named = torch.cat([predict(part).argmax(dim=1).cpu() for part in parts])
    return float((named == labels.cpu()).double().mean())
