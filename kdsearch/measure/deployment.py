"""How a student is called once it has shipped."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Deployment:
    """How a deployed model is called: all that is known of it apart from what it computes."""

    bytes: int
    """Of the file that ships."""
    device: torch.device
    """Where it computes."""
    batch: int = 1
    """Images in a call."""
    threads: int = 1
    """Threads of a call."""
    runtime: str = ""
    """What it runs in, with its version, where that is not PyTorch."""
    together: bool = False
    """Whether the images of a call share a range, so that a split is scored in calls of `batch`."""

    @property
    def takes_from(self) -> torch.device:
        """Where its images are expected: another runtime gets them from the CPU, wherever it computes."""
        return torch.device("cpu") if self.runtime else self.device


def deployment_of(model: nn.Module) -> Deployment | None:
    """How a deployed model, which takes images as bytes, is called; None for any other."""
    found = getattr(model, "deployment", None)
    return found if isinstance(found, Deployment) else None


def device_of(model: nn.Module) -> torch.device:
    """Where a model computes."""
    deployment = deployment_of(model)
    return next(model.parameters()).device if deployment is None else deployment.device


def runtime_of(model: nn.Module) -> str:
    """What a model runs in, with its version; empty for PyTorch."""
    deployment = deployment_of(model)
    return "" if deployment is None else deployment.runtime


def threads_of(model: nn.Module) -> int:
    """Threads of one call of a model on a CPU: 1 unless it ships otherwise."""
    deployment = deployment_of(model)
    return 1 if deployment is None else deployment.threads
