"""A user's model that goes wrong in training, for real, in one of several ways."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path

import torch
from torch import Tensor, nn


class Faulty(nn.Module):
    """`fault` is `none`, `memory`, `hang`, `raise`, `die`, `later` or `full`.

    `later` is `raise`, and `full` the error of a full disk, as long as there is a file `marker`.

    `width` only tells configs apart.
    """

    def __init__(
        self, in_channels: int, num_classes: int, fault: str = "none", width: int = 8, marker: str = ""
    ) -> None:
        super().__init__()
        self.fault, self.marker = fault, marker
        self.hidden = nn.Linear(64 * in_channels, width)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():
            getattr(self, f"_{self.fault}")(images)
        return self.classifier(self.hidden(images.flatten(1)).relu())

    def _none(self, images: Tensor) -> None:
        pass

    def _memory(self, images: Tensor) -> None:
        torch.empty(2**50, device=images.device)

    def _hang(self, images: Tensor) -> None:
        time.sleep(600)

    def _raise(self, images: Tensor) -> None:
        # Alone in its group, a worker may speak of what groups talk through.
        raise RuntimeError(f"this model breaks with {self.hidden.out_features} units, not by gloo")

    def _later(self, images: Tensor) -> None:
        if Path(self.marker).exists():
            self._raise(images)

    def _full(self, images: Tensor) -> None:
        if Path(self.marker).exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _die(self, images: Tensor) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
