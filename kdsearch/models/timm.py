"""Every model of timm, by its name there."""

from __future__ import annotations

from torch import nn

from kdsearch.errors import InputError, nearest
from kdsearch.registry import register
from kdsearch.types import Shape


@register("model", prefix="timm")
def timm(shape: Shape, classes: int, name: str, **options: object) -> nn.Module:
    """`timm:NAME`, untrained: any model of timm, with the options it has there. Needs the extra `timm`.

    Maps images (B, C, H, W) to logits (B, classes).

    Raises:
        InputError: For an unknown name.
    """
    import timm

    known = timm.list_models()
    if name not in known:
        raise InputError(f"timm has no model '{name}'{nearest(name, known)}")
    model: nn.Module = timm.create_model(
        name, pretrained=False, in_chans=shape[0], num_classes=classes, **options
    )
    return model
