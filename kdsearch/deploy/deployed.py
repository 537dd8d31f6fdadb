"""A student that is called as it will be once it has shipped."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kdsearch.data import Images
from kdsearch.measure.deployment import Deployment

#: Images in a call when a split is scored, where that cannot change the result.
_MANY = 256


class DeployedModel(nn.Module):
    """Maps images (B, C, H, W) uint8, as they are stored, to logits (B, classes) float32.

    It stands wherever a model is scored or timed; `deployment` says how it is called.
    """

    def __init__(self, call: Callable[[Tensor], Tensor], deployment: Deployment) -> None:
        """
        Args:
            call: Computes the logits on `deployment.device`, of images on `deployment.takes_from`.
            deployment: How it is called.
        """
        super().__init__()
        self.call = call
        self.deployment = deployment

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images that lie on `deployment.takes_from`."""
        return self.call(images)

    @torch.inference_mode()
    def predict(self, images: Images) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) and labels (N,) of every image, on the CPU."""
        size = self.deployment.batch if self.deployment.together else _MANY
        parts = torch.split(images.images, size)
        logits = [self.call(part.to(self.deployment.takes_from)).cpu() for part in parts]
        return torch.cat(logits), images.labels.cpu()
