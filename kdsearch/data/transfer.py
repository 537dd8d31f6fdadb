"""From the host to a GPU without waiting."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; to a GPU it is copied through pinned memory, so that the CPU goes on.

    Pinned memory is kept for later copies: for batches and indices, not for whole data sets.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
