"""The logits of a model for a split."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdsearch.data import Images, evaluation_batches
from kdsearch.deploy import DeployedModel
from kdsearch.models import channels_last

#: Images in a batch on a CPU, where more are no faster, and the most that a GPU is given at a time.
_CPU_BATCH, _GPU_BATCH = 512, 4096
#: The batch size that fits, by the shapes of a model: found out once in a process.
_fitting: dict[object, int] = {}


@torch.no_grad()
def predict(
    model: nn.Module, images: Images, mean: Tensor, std: Tensor, *, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) float32 and labels (N,) of every image, in eval mode, on the CPU.

    Where memory does not suffice for a batch, it is halved; a single image that does not fit raises
    torch.OutOfMemoryError. A form that ships scales the pixels itself, on a device of its own.
    """
    if isinstance(model, DeployedModel):
        return model.predict(images)
    device = torch.device(device)
    shapes = (images.shape, device, tuple(parameter.shape for parameter in model.parameters()))
    size = _fitting.get(shapes, _GPU_BATCH if device.type == "cuda" else _CPU_BATCH)
    size = min(size, len(images))
    training = model.training
    model.eval()
    try:
        while (found := _predicted(model, images, mean, std, device, size)) is None:
            # Only now: while the error is handled, its frames hold on to what filled the memory.
            size = _fitting[shapes] = (size + 1) // 2
    finally:
        model.train(training)
    return found


def _predicted(
    model: nn.Module, images: Images, mean: Tensor, std: Tensor, device: torch.device, size: int
) -> tuple[Tensor, Tensor] | None:
    """Logits and labels, computed for so many images at a time; None where memory does not suffice."""
    last = channels_last(model)
    batches = evaluation_batches(images, mean, std, batch_size=size, device=device, channels_last=last)
    try:
        outputs = [(model(batch.images).float(), batch.labels) for batch in batches]
    except torch.OutOfMemoryError:
        if size == 1:
            raise
        return None
    logits, labels = zip(*outputs, strict=True)
    return torch.cat(logits).cpu(), torch.cat(labels).cpu()
