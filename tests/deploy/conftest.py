"""Trained students of the digits, one with convolutions and one without, and their data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import nn

from kdsearch import models
from kdsearch.data.sources.digits import digits
from kdsearch.deploy import DeployedModel, open_deployed, write_deployed
from kdsearch.distill.resident import Splits, split
from kdsearch.spec import Deploy


@dataclass(frozen=True)
class Trained:
    """A student, its data, and a folder to write its forms to."""

    model: nn.Module
    splits: Splits
    folder: Path
    made: dict[Deploy, tuple[DeployedModel, Path]] = field(default_factory=dict)

    def form(self, **section: object) -> tuple[DeployedModel, Path]:
        """The form of a section `deploy`, and its file: an export takes a second, so each is made once."""
        form = Deploy(**section)
        if form not in self.made:
            self.made[form] = self.make(**section)
        return self.made[form]

    def make(self, **section: object) -> tuple[DeployedModel, Path]:
        """The same, made now."""
        form, splits = Deploy(**section), self.splits
        path = write_deployed(
            self.model, form, self.folder,
            mean=splits.mean, std=splits.std, train=splits.train, classes=splits.classes,
        )  # fmt: skip
        again = models.build(self.model.config, splits.shape, len(splits.classes), seed=7)
        device = torch.device("cpu")
        return open_deployed(again, form, path, mean=splits.mean, std=splits.std, device=device), path


CONFIGS = {
    "convnet": {"name": "convnet", "width": 8, "depth": 2},
    "mlp": {"name": "mlp", "hidden": [32, 16]},
    "resnet": {"name": "resnet", "depth": 8, "width": 1},
}


@pytest.fixture(scope="session")
def splits() -> Splits:
    return split(digits(), 0.25, seed=0)


@pytest.fixture(scope="session", params=list(CONFIGS))
def trained(request, splits, tmp_path_factory) -> Trained:
    config = CONFIGS[request.param]
    model = models.build(config, splits.shape, len(splits.classes), seed=0)
    model.config = config
    scaled = (splits.train.images / 255 - splits.mean.view(-1, 1, 1)) / splits.std.view(-1, 1, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3 if config["name"] == "resnet" else 8):
        for part in torch.randperm(len(scaled), generator=generator).split(64):
            loss = nn.functional.cross_entropy(model(scaled[part]), splits.train.labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Trained(model.eval(), splits, tmp_path_factory.mktemp(request.param))
