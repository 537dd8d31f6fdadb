"""Energy, where the hardware reports it."""

from __future__ import annotations

import time

import torch
from torch import nn

from kdsearch.errors import InputError
from kdsearch.measure._energy import energy_counter
from kdsearch.measure._evaluation import evaluation, image_for
from kdsearch.measure.deployment import device_of, threads_of
from kdsearch.measure.device import device_name
from kdsearch.measure.timing import on_threads
from kdsearch.registry import register
from kdsearch.types import Shape

#: NVML refreshes its counter ten times a second and more: over this long its steps are below a percent.
SECONDS = 2.0
_WARM_UP = 20


@register("objective", direction="minimize", unit="mJ", label="Energy", known="timed")
def energy_mj(model: nn.Module, shape: Shape) -> float:
    """Millijoules that the device draws for one image of `shape` (C, H, W), call after call for 2 s.

    Of the whole device, what it draws idle and for others included: the GPU's by NVML, or the CPU package's
    by the kernel's powercap (RAPL).

    Raises:
        InputError: The device reports no energy.
    """
    images = image_for(model, shape)
    device = device_of(model)
    counter = energy_counter(device)
    if counter is None:
        raise InputError(f"energy_mj: {device_name(device)} reports no energy here")
    with evaluation(model), on_threads(threads_of(model)):
        for _ in range(_WARM_UP):
            model(images)
        _wait(device)
        runs, start, deadline = 0, counter(), time.perf_counter() + SECONDS
        while time.perf_counter() < deadline:
            model(images)
            _wait(device)
            runs += 1
        return (counter() - start) / (runs * len(images))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
