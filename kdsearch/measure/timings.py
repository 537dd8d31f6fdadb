"""Timed objectives, taken once per architecture and device and kept in a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from kdsearch.measure._measure import known, measure_architecture
from kdsearch.measure.device import device_name
from kdsearch.registry import find, metric
from kdsearch.space import digest
from kdsearch.types import Shape


@dataclass(frozen=True)
class Timings:
    """The folder in which timings are kept, a file each.

    Kept timings make a search repeatable: the sampler is told the same latency for the same student.
    """

    folder: Path

    def of(
        self, model: nn.Module, config: Mapping[str, object], shape: Shape, classes: int, names: Iterable[str]
    ) -> dict[str, float]:
        """The timed ones among the objectives `names`, by metric: as kept, or taken now and kept.

        Args:
            model: Built from `config`, on the device to be timed.
            config: The name of the model and its options.
            shape: Channels, height and width of an image.
            classes: Number of logits.
            names: Of objectives; those that need no clock are passed over.
        """
        timed = [name for name in names if known(find("objective", name)) == "timed"]
        if not timed:
            return {}
        path = self.folder / f"{self._key(model, config, shape, classes)}.json"
        kept = _read(path)
        missing = [name for name in timed if metric(name) not in kept]
        if missing:
            kept |= measure_architecture(model, shape, missing, known=("timed",))
            self.folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps(kept), encoding="utf-8")
            part.replace(path)
        return {metric(name): kept[metric(name)] for name in timed}

    def _key(self, model: nn.Module, config: Mapping[str, object], shape: Shape, classes: int) -> str:
        device = next(model.parameters()).device
        return digest([dict(config), list(shape), classes, device_name(device), torch.__version__])


def _read(path: Path) -> dict[str, float]:
    try:
        kept: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept
