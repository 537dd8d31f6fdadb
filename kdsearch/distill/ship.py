"""A trained student in the form that its config asks for."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdsearch.deploy import (
    DeployedModel,
    WithPreprocessing,
    file_of,
    has_runtime,
    open_deployed,
    write_deployed,
)
from kdsearch.distill.resident import Splits
from kdsearch.errors import InputError
from kdsearch.measure import Deployment
from kdsearch.spec import Deploy, Spec, asks_for_gpu, decisive


def is_converted(form: Deploy) -> bool:
    """Whether the form that ships differs from the trained weights."""
    return (form.format, form.precision) != ("torch", "fp32")


def timed_as(config: Spec) -> dict[str, Any]:
    """The key of a latency: the architecture and, unless it is the default, the form."""
    tree = config.tree()
    form = decisive(tree["deploy"])
    return {**tree["student"], **({"deploy": form} if form else {})}


def place_of(form: Deploy, device: torch.device) -> torch.device:
    """Where a form is called by a process that computes on `device`.

    Raises:
        InputError: When it ships to a GPU, and that is none.
    """
    if form.device in (None, device.type):
        return device
    if form.device == "cuda":
        raise InputError(
            "deploy.device: 'cuda': what times it here has no GPU; compute.gpus_per_worker gives it one"
        )
    return torch.device("cpu")


def check_runtime(spec: Spec) -> None:
    """Raise InputError when graphs should run on a GPU, and this machine's ONNX Runtime supports none."""
    if asks_for_gpu(spec.deploy, format="onnx") and not has_runtime("cuda"):
        raise InputError("deploy.device: 'cuda': this build of ONNX Runtime has none; onnxruntime-gpu has")


def as_trained(student: nn.Module, config: Spec, splits: Splits, device: torch.device) -> DeployedModel:
    """The student as it is, scaling the pixels itself, called as its config says; its file has no size.

    It is on `device`, and stays there: what ships to another place is a copy. Raises as `place_of` does.
    """
    place = place_of(config.deploy, device)
    model = student if place == device else copy.deepcopy(student)
    shipped = WithPreprocessing(model, splits.mean, splits.std).to(place)
    return DeployedModel(shipped, Deployment(0, place, config.deploy.batch, config.deploy.threads))


def convert(student: nn.Module, config: Spec, splits: Splits, folder: Path) -> None:
    """Write the file that ships of a trained student to `folder`, beside its weights."""
    write_deployed(
        student,
        config.deploy,
        folder,
        mean=splits.mean,
        std=splits.std,
        train=splits.train,
        classes=splits.classes,
    )


def open_shipped(
    student: nn.Module, config: Spec, splits: Splits, folder: Path, device: torch.device
) -> DeployedModel:
    """The form that ships, from its file in `folder`, on `device`; see `kdsearch.deploy.open_deployed`.

    `student` is of the config's architecture, and left as it is.
    """
    path = folder / file_of(config.deploy)
    model = copy.deepcopy(student)
    return open_deployed(model, config.deploy, path, mean=splits.mean, std=splits.std, device=device)
