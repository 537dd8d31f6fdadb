"""How a student is called once it ships."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Shipping:
    """What is known of a form in which a student ships, apart from what it computes."""

    bytes: int
    """Of the file that ships."""
    device: torch.device
    """Where its images are expected."""
    batch: int = 1
    """Images in a call."""
    threads: int = 1
    """Threads of a call."""
    together: bool = False
    """Whether the images of a call share a range, so that a split is scored in calls of `batch`."""


def shipping_of(model: nn.Module) -> Shipping | None:
    """How a model ships, where it is such a form: it then takes images as bytes."""
    found = getattr(model, "shipping", None)
    return found if isinstance(found, Shipping) else None


def device_of(model: nn.Module) -> torch.device:
    """Where a model's images are expected."""
    shipping = shipping_of(model)
    return next(model.parameters()).device if shipping is None else shipping.device
