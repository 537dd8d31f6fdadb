"""How models and their images lie in memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from kdsearch.types import Shape


def lay_out(model: nn.Module, shape: Shape) -> bool:
    """Lay the convolutions of a model out as they run fastest: with the channels last.

    A model that cannot run so, as it flattens feature maps by `view`, is left as it is.

    Args:
        model: Changed in place.
        shape: Of an image, of which it is run on two to find out.

    Returns:
        Whether it is laid out so, and best given images that are.
    """
    if not list(_convolutions(model)):
        return False
    _lay(model, torch.channels_last)
    if not _runs(model, shape):
        restore(model)
        return False
    return True


def restore(model: nn.Module) -> None:
    """Lay the weights out as PyTorch makes them, which is how they are kept and shipped."""
    _lay(model, torch.contiguous_format)


def channels_last(model: nn.Module) -> bool:
    """Whether a model is laid out with the channels last, as far as its weights show it."""
    return any(
        parameter.dim() == 4 and not parameter.is_contiguous()
        for module in _convolutions(model)
        for parameter in module.parameters()
    )


def take_any_layout(model: nn.Module, *, last: bool) -> None:
    """Have a model lay out the images that it is given as it needs them, with the channels `last` or not.

    Its outputs then depend on the images alone, to the last digit, and not on whom else they are for.
    """
    model.register_forward_pre_hook(partial(_relaid, last=last))


def _relaid(model: nn.Module, inputs: tuple[Tensor, ...], *, last: bool) -> Any:
    images, *others = inputs
    ordered = images.movedim(1, -1) if last else images
    # Also of a single channel the stride must be the usual one: convolutions go by it.
    ordered = ordered.contiguous().flatten().view(ordered.shape)
    return ordered.movedim(-1, 1) if last else ordered, *others


def _convolutions(model: nn.Module) -> Iterator[nn.Module]:
    return (module for module in model.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d))


def _lay(model: nn.Module, layout: torch.memory_format) -> None:
    # Not all of the model: it may have tensors of other ranks, which know no such layout.
    for module in _convolutions(model):
        module.to(memory_format=layout)


def _runs(model: nn.Module, shape: Shape) -> bool:
    device = next(model.parameters()).device
    images = torch.zeros(2, *shape, device=device).contiguous(memory_format=torch.channels_last)
    training = model.training
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            model.eval()(images)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # "view size is not compatible with input tensor's size and stride"
        return False
    finally:
        model.train(training)
    return True
