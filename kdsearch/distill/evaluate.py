"""What a model says of a split."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdsearch.data import Images, evaluation_batches
from kdsearch.deploy import DeployedModel


@torch.no_grad()
def predict(
    model: nn.Module, images: Images, mean: Tensor, std: Tensor, *, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) float32 and labels (N,) of every image, in eval mode, on the CPU.

    A form that ships scales the pixels itself, on a device of its own.
    """
    if isinstance(model, DeployedModel):
        return model.predict(images)
    training = model.training
    model.eval()
    batches = evaluation_batches(images, mean, std, device=device)
    outputs = [(model(batch.images).float(), batch.labels) for batch in batches]
    model.train(training)
    logits, labels = zip(*outputs, strict=True)
    return torch.cat(logits).cpu(), torch.cat(labels).cpu()
