"""From the file that ships to a model that can be called."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from kdsearch import models
from kdsearch.deploy.deployed import DeployedModel
from kdsearch.deploy.preprocessing import WithPreprocessing
from kdsearch.deploy.runtime import has_runtime, open_graph, runtime_name
from kdsearch.errors import InputError
from kdsearch.measure import Deployment
from kdsearch.spec import Deploy


def open_deployed(
    student: nn.Module, form: Deploy, path: Path, *, mean: Tensor, std: Tensor, device: torch.device
) -> DeployedModel:
    """The student as it is called once it has shipped.

    Args:
        student: Of the right architecture. In PyTorch it gets the weights of the file, and is what runs.
        form: The section `deploy` of its config.
        path: The file that ships.
        mean: Of the pixels in units of [0, 1], (C,).
        std: Of the same, (C,).
        device: Where it should run. A graph runs on the CPU where ONNX Runtime has nothing else, unless its
            section asks for the device.

    Raises:
        InputError: When the file is missing or damaged, or ONNX Runtime lacks the device that it asks for.
    """
    size = path.stat().st_size if path.exists() else 0
    if form.format == "torch":
        model = student.half() if form.precision == "fp16" else student
        models.load_weights(model, path)
        shipped = WithPreprocessing(model.eval(), mean, std).to(device).eval()
        return DeployedModel(shipped, Deployment(size, device, form.batch, form.threads))
    place = device if has_runtime(device) else torch.device("cpu")
    call = open_graph(path, threads=form.threads, device=place)
    if call.device.type != place.type:
        place = call.device
    if form.device == device.type != place.type:
        raise InputError(f"deploy.device: '{device.type}': this build of ONNX Runtime does not support it")
    deployment = Deployment(
        size,
        place,
        form.batch,
        form.threads,
        runtime=runtime_name(),
        together=_is_dynamic(path),
    )
    return DeployedModel(call, deployment)


def _is_dynamic(path: Path) -> bool:
    import onnx

    return any(node.op_type == "DynamicQuantizeLinear" for node in onnx.load(path).graph.node)
