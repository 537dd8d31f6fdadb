"""A student in the form in which it ships."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kdsearch.data import Images
from kdsearch.measure.shipping import Shipping
from kdsearch.spec import Deploy

#: Images in a call when a split is scored, where that cannot change the result.
_MANY = 256


class Form(nn.Module):
    """Maps images (B, C, H, W) uint8, as they are stored, to logits (B, classes) float32.

    It stands wherever a model is scored or timed, and tells by `shipping` how.
    """

    def __init__(self, call: Callable[[Tensor], Tensor], shipping: Shipping) -> None:
        """
        Args:
            call: Computes it on `shipping.device`, of images on `shipping.takes_from`.
            shipping: All else.
        """
        super().__init__()
        self.call = call
        self.shipping = shipping

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images that lie where the form takes them from."""
        return self.call(images)

    @torch.inference_mode()
    def predict(self, images: Images) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) and labels (N,) of every image, on the CPU."""
        size = self.shipping.batch if self.shipping.together else _MANY
        parts = torch.split(images.images, size)
        logits = [self.call(part.to(self.shipping.takes_from)).cpu() for part in parts]
        return torch.cat(logits), images.labels.cpu()


def file_of(form: Deploy) -> str:
    """The name of the file that ships."""
    ending = "onnx" if form.format == "onnx" else "safetensors"
    return f"student.{ending}" if form.precision == "fp32" else f"student.{form.precision}.{ending}"
