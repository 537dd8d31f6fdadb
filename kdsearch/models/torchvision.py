"""Every classifier of torchvision, by its name there."""

from __future__ import annotations

from torch import nn

from kdsearch.errors import InputError, nearest
from kdsearch.registry import register
from kdsearch.types import Shape


@register("model", prefix="torchvision")
def torchvision(shape: Shape, classes: int, name: str, **options: object) -> nn.Module:
    """`torchvision:NAME`, untrained: any classifier of torchvision.models, with the options it has there.

    Maps images (B, 3, H, W) to logits (B, classes).

    Raises:
        InputError: For an unknown name, and for images that do not have three channels.
    """
    # Three seconds of import, which only those who name such a model should pay.
    from torchvision import models

    # The package itself lists classifiers; detectors, segmenters and optical flow are in modules below it.
    known = models.list_models(module=models)
    if name not in known:
        raise InputError(f"torchvision has no classifier '{name}'{nearest(name, known)}")
    if shape[0] != 3:
        raise InputError(f"torchvision:{name} takes images of 3 channels; these have {shape[0]}")
    model: nn.Module = models.get_model(name, weights=None, num_classes=classes, **options)
    return model
