"""Whether a model fits its images and classes, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from kdsearch.errors import InputError
from kdsearch.models._build import build
from kdsearch.types import Shape


def check_model(config: Mapping[str, object], shape: Shape, classes: int) -> None:
    """Build the model that `config` names and run a batch of two blank images through it, on the CPU.

    Raises:
        InputError: Unless it can be built and returns logits (2, classes); it names the model.
    """
    # Not on the meta device: its first linear layer imports sympy, 3.6 s against 0.1 s for the real thing
    # (resnet32x4), and it refuses models that read a value on their way.
    model = build(config, shape, classes, seed=0).eval()
    try:
        with torch.no_grad():
            logits: object = model(torch.zeros(2, *shape))
    except Exception as error:
        raise InputError(
            f"model '{config['name']}' fails on images of shape {tuple(shape)}: {error}"
        ) from error
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != (2, classes):
        raise InputError(
            f"model '{config['name']}' must return logits of shape {(2, classes)} for two images of shape "
            f"{tuple(shape)}; it returned {got}"
        )
