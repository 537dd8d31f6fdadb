"""A trained student in the form that its config asks for."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdsearch.deploy import Form, Shipped, file_of, open_form, write_form
from kdsearch.distill.resident import Splits
from kdsearch.measure import Shipping
from kdsearch.spec import Deploy, Spec


def is_converted(form: Deploy) -> bool:
    """Whether something else ships than the weights as they were trained."""
    return (form.format, form.precision) != ("torch", "fp32")


def timed_as(config: Spec) -> dict[str, Any]:
    """What a latency is kept under: the architecture and, where it is called in another way, its form."""
    tree = config.tree()
    form = tree["deploy"]
    return {**tree["student"], **({"deploy": form} if form != Deploy().model_dump() else {})}


def as_trained(student: nn.Module, config: Spec, splits: Splits, device: torch.device) -> Form:
    """The student as it is, scaling the pixels itself, called as its config says; its file has no size."""
    shipped = Shipped(student, splits.mean, splits.std).to(device)
    return Form(shipped, Shipping(0, device, config.deploy.batch, config.deploy.threads))


def convert(student: nn.Module, config: Spec, splits: Splits, folder: Path) -> None:
    """Write the file that ships of a trained student to `folder`, beside its weights."""
    write_form(
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
) -> Form:
    """The form that ships, from its file in `folder`, on `device` if it can run there.

    `student` is of the config's architecture, and left as it is.
    """
    path = folder / file_of(config.deploy)
    model = copy.deepcopy(student)
    return open_form(model, config.deploy, path, mean=splits.mean, std=splits.std, device=device)
