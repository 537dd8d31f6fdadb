"""From a trained student to the file that ships."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from kdsearch import models
from kdsearch.data import Images
from kdsearch.deploy.graph import write_graph
from kdsearch.deploy.preprocessing import WithPreprocessing
from kdsearch.deploy.quantise import quantise
from kdsearch.spec import Deploy

#: Training images from which quantisation takes the ranges of activations.
CALIBRATION = 512


def write_deployed(
    student: nn.Module,
    form: Deploy,
    folder: Path,
    *,
    mean: Tensor,
    std: Tensor,
    train: Images,
    classes: Sequence[str],
) -> Path:
    """Write the file that ships to `folder`; returns its path.

    Args:
        student: Trained. It is left as it is.
        form: The section `deploy` of its config.
        folder: Where the file goes.
        mean: Of the pixels in units of [0, 1], (C,).
        std: Of the same, (C,).
        train: The images that it learned from, on some of which quantisation is calibrated.
        classes: Their names.

    Raises:
        InputError: When the student cannot be exported.
    """
    path = folder / file_of(form)
    model = copy.deepcopy(student).cpu().eval()
    if form.precision == "fp16":
        model = model.half()
    if form.format == "torch":
        models.save_weights(model, path)
        return path
    shipped = WithPreprocessing(model, mean.cpu(), std.cpu()).eval()
    if form.precision != "int8":
        write_graph(shipped, train.shape, classes, path)
        return path
    with tempfile.TemporaryDirectory() as part:
        whole = Path(part) / "whole.onnx"
        write_graph(shipped, train.shape, classes, whole)
        quantise(whole, calibration(train), path)
    return path


def file_of(form: Deploy) -> str:
    """The name of the file that ships."""
    ending = "onnx" if form.format == "onnx" else "safetensors"
    return f"student.{ending}" if form.precision == "fp32" else f"student.{form.precision}.{ending}"


def calibration(train: Images) -> Tensor:
    """Up to 512 images (N, C, H, W) uint8 spread evenly over those that were trained on, on the CPU."""
    chosen = torch.linspace(0, len(train) - 1, min(CALIBRATION, len(train))).long()
    return train.images[chosen.to(train.images.device)].cpu()
