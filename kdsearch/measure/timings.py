"""Timed objectives, taken once per architecture and device and kept in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from kdsearch.files import write_whole
from kdsearch.measure._measure import measure_architecture
from kdsearch.measure.deployment import device_of, runtime_of
from kdsearch.measure.device import conditions, device_name
from kdsearch.measure.figure import Figure
from kdsearch.space import digest
from kdsearch.types import Shape


@dataclass(frozen=True)
class Timings:
    """The folder in which timings are kept, a file each.

    Kept timings make a search repeatable: the sampler is told the same latency for the same student.
    """

    folder: Path

    def of(
        self,
        model: nn.Module,
        config: Mapping[str, object],
        shape: Shape,
        classes: int,
        figures: Iterable[Figure],
    ) -> dict[str, float]:
        """The timed ones among the figures, by metric: as kept, or taken now and kept.

        Where there are any, `estimated` is 1: other trials may run beside.

        Args:
            model: On the device to be timed.
            config: What the timings are kept under: the model, its options and, where it is not called as
                trained, its form.
            shape: Channels, height and width of an image.
            classes: Number of logits.
            figures: Those that need no clock are ignored.
        """
        timed = [figure for figure in figures if figure.basis == "timed"]
        if not timed:
            return {}
        path = self.folder / f"{self._key(model, config, shape, classes)}.json"
        kept = _read(path)
        if missing := [figure for figure in timed if figure.key not in kept]:
            taken = measure_architecture(model, shape, missing, bases=("timed",))
            kept |= {figure.key: taken[figure.name] for figure in missing}
            self._write(path, kept, config, conditions(device_of(model), runtime_of(model)))
        return {figure.name: kept[figure.key] for figure in timed} | {"estimated": 1.0}

    def _write(
        self, path: Path, kept: Mapping[str, float], config: Mapping[str, object], where: Mapping[str, str]
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"figures": kept, "model": config, "conditions": where}
        write_whole(path, json.dumps(content, indent=1))

    def _key(self, model: nn.Module, config: Mapping[str, object], shape: Shape, classes: int) -> str:
        versions = [torch.__version__, *filter(None, [runtime_of(model)])]
        return digest([dict(config), list(shape), classes, device_name(device_of(model)), *versions])


def _read(path: Path) -> dict[str, float]:
    try:
        kept: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["figures"]
    except (OSError, ValueError, KeyError):
        return {}
    return kept
