"""An export read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.errors import InputError
from kdsearch.export.files import METRICS, check_sums
from kdsearch.filenames import CONFIG, WEIGHTS
from kdsearch.spec import Spec, check_onnx_installed, load_spec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kdsearch.deploy import DeployedModel


@dataclass(frozen=True)
class Export:
    """The folder of an export, found to be whole."""

    folder: Path
    config: Spec
    described: Mapping[str, Any]
    """`shape`, `mean`, `std` and `classes` of what it learned from."""
    metrics: Mapping[str, Any]
    origin: Mapping[str, str]
    """The `search` and the `run` that it comes from; empty for one that comes from none."""

    @property
    def ships(self) -> Path:
        """The file that ships."""
        from kdsearch.deploy import file_of

        return self.folder / file_of(self.config.deploy)

    def form(self, device: str = "cpu") -> DeployedModel:
        """The student as it ships: it maps images (B, C, H, W) uint8 to logits (B, classes).

        Raises:
            InputError: When there is no such device here, or not what the format needs.
        """
        import torch

        from kdsearch.deploy import open_deployed

        if self.config.deploy.format == "onnx":
            check_onnx_installed(self.ships.name)
        if device == "cuda" and not torch.cuda.is_available():
            raise InputError("device 'cuda': this machine has no GPU")
        mean, std = torch.tensor(self.described["mean"]), torch.tensor(self.described["std"])
        form = open_deployed(
            build(self.config.tree(), self.described),
            self.config.deploy,
            self.ships,
            mean=mean,
            std=std,
            device=torch.device(device),
        )
        if form.deployment.device.type != device:
            raise InputError(f"device '{device}': this build of ONNX Runtime does not support it")
        return form


def open_export(folder: str | Path) -> Export:
    """The export in a folder.

    Raises:
        InputError: When the folder holds none, or a file of it is damaged.
    """
    folder = Path(folder)
    try:
        content = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        described, metrics, origin = content["input"], content["metrics"], content.get("origin", {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no export: {METRICS} cannot be read ({error})") from None
    check_sums(folder)
    return Export(folder, load_spec(folder / CONFIG), described, metrics, origin)


def load_student(folder: str | Path) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """The trained student of an export, in eval mode, and the function that its images go through first.

    That function takes images (B, C, H, W) uint8 to normalised float32; the student takes these to logits
    (B, classes).

    Raises:
        InputError: When the folder holds no export, or a damaged one.
    """
    export = open_export(folder)
    return trained(export.config.tree(), export.described, export.folder / WEIGHTS), prepare(export.described)


def trained(config: Mapping[str, Any], described: Mapping[str, Any], weights: Path) -> nn.Module:
    """The student of a config with the weights of a file, in eval mode."""
    from kdsearch import models

    model = build(config, described)
    models.load_weights(model, weights)
    return model.eval()


def prepare(described: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    """The function from images (B, C, H, W) uint8 to what a student takes."""
    from functools import partial

    import torch

    from kdsearch.data import normalise

    return partial(normalise, mean=torch.tensor(described["mean"]), std=torch.tensor(described["std"]))


def build(config: Mapping[str, Any], described: Mapping[str, Any]) -> nn.Module:
    """The student of a config, untrained."""
    from kdsearch import models

    return models.build(config["student"], tuple(described["shape"]), len(described["classes"]))
