"""Running a model as it would ship, and leaving it as it was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from kdsearch.measure.deployment import deployment_of
from kdsearch.types import Shape


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's own mode is put back after."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def image_for(model: nn.Module, shape: Shape, *, seed: int = 0) -> Tensor:
    """One random image (1, C, H, W), standard normal, on the device and of the dtype of `model`.

    A form that ships gets bytes instead, as many images as it is called with, where it takes them from. The
    global random state is left alone.
    """
    generator = torch.Generator().manual_seed(seed)
    if (deployment := deployment_of(model)) is not None:
        size = (deployment.batch, *shape)
        return torch.randint(0, 256, size, generator=generator, dtype=torch.uint8).to(deployment.takes_from)
    tensors = chain(model.parameters(), model.buffers())
    like = next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))
    image = torch.randn((1, *shape), generator=generator)
    return image.to(device=like.device, dtype=like.dtype)
