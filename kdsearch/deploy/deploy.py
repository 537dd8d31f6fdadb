"""From a trained student to the file that ships, and from the file to something that can be called."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from kdsearch import models
from kdsearch.data import Images
from kdsearch.deploy.form import Form, file_of
from kdsearch.deploy.graph import write_graph
from kdsearch.deploy.quantise import quantise
from kdsearch.deploy.runtime import has_runtime, open_graph, runtime_name
from kdsearch.deploy.shipped import Shipped
from kdsearch.errors import InputError
from kdsearch.measure import Shipping
from kdsearch.spec import Deploy

#: Training images from which quantisation takes the ranges of activations.
CALIBRATION = 512


def write_form(
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
        std: Likewise.
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
    shipped = Shipped(model, mean.cpu(), std.cpu()).eval()
    if form.precision != "int8":
        write_graph(shipped, train.shape, classes, path)
        return path
    with tempfile.TemporaryDirectory() as part:
        whole = Path(part) / "whole.onnx"
        write_graph(shipped, train.shape, classes, whole)
        quantise(whole, calibration(train), path)
    return path


def open_form(
    student: nn.Module, form: Deploy, path: Path, *, mean: Tensor, std: Tensor, device: torch.device
) -> Form:
    """What is called once it has shipped.

    Args:
        student: Of the right architecture. In PyTorch it gets the weights of the file, and is what runs.
        form: The section `deploy` of its config.
        path: The file that ships.
        mean: Of the pixels in units of [0, 1], (C,).
        std: Likewise.
        device: Where it should run. A graph runs on the CPU where ONNX Runtime has nothing else, unless its
            section asks for the device.

    Raises:
        InputError: When the file is missing or damaged, or ONNX Runtime has not the device that it asks for.
    """
    size = path.stat().st_size if path.exists() else 0
    if form.format == "torch":
        model = student.half() if form.precision == "fp16" else student
        models.load_weights(model, path)
        shipped = Shipped(model.eval(), mean, std).to(device).eval()
        return Form(shipped, Shipping(size, device, form.batch, form.threads))
    place = device if has_runtime(device) else torch.device("cpu")
    call = open_graph(path, threads=form.threads, device=place)
    if call.device.type != place.type:
        place = call.device
    if form.device == device.type != place.type:
        raise InputError(f"deploy.device: '{device.type}': this ONNX Runtime has none")
    shipping = Shipping(
        size,
        place,
        form.batch,
        form.threads,
        runtime=runtime_name(),
        together=_is_dynamic(path),
    )
    return Form(call, shipping)


def calibration(train: Images) -> Tensor:
    """Up to 512 images (N, C, H, W) uint8 spread evenly over those that were trained on, on the CPU."""
    chosen = torch.linspace(0, len(train) - 1, min(CALIBRATION, len(train))).long()
    return train.images[chosen.to(train.images.device)].cpu()


def _is_dynamic(path: Path) -> bool:
    import onnx

    return any(node.op_type == "DynamicQuantizeLinear" for node in onnx.load(path).graph.node)
