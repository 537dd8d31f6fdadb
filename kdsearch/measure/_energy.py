"""Counters of energy that the hardware keeps."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

_POWERCAP = Path("/sys/class/powercap")


def energy_counter(device: torch.device, powercap: Path = _POWERCAP) -> Callable[[], float] | None:
    """What tells the millijoules that `device` has drawn since some moment; None where nothing does.

    Args:
        device: A GPU is asked through NVML, which comes with its driver; a CPU through the kernel's powercap,
            which only root may read on most systems.
        powercap: Where the kernel shows it.
    """
    return _nvml(device) if device.type == "cuda" else _rapl(powercap)


def _nvml(device: torch.device) -> Callable[[], float] | None:
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    handle = ctypes.c_void_p()
    # By its identity, because NVML numbers GPUs otherwise than CUDA does.
    identity = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    drawn = ctypes.c_ulonglong()
    failed = (
        library.nvmlInit_v2()
        or library.nvmlDeviceGetHandleByUUID(identity, ctypes.byref(handle))
        or library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(drawn))
    )
    if failed:
        return None

    def millijoules() -> float:
        library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(drawn))
        return float(drawn.value)

    return millijoules


def _rapl(powercap: Path) -> Callable[[], float] | None:
    # One zone a package; those within it (`intel-rapl:0:0`) are parts of it, and `psys` holds them all.
    found = sorted(path for path in powercap.glob("*-rapl:[0-9]*") if path.name.count(":") == 1)
    zones = [path / "energy_uj" for path in found if _name(path) != "psys"]
    try:
        for zone in zones:
            zone.read_text()
    except OSError:
        return None
    return partial(_Packages(zones).millijoules) if zones else None


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text().strip()
    except OSError:
        return ""


class _Packages:
    """The sum over packages, each counter followed over its wrap-around."""

    def __init__(self, zones: list[Path]) -> None:
        self._zones = zones
        self._last = [self._read(zone) for zone in zones]
        self._drawn = 0

    def millijoules(self) -> float:
        for place, zone in enumerate(self._zones):
            now = self._read(zone)
            step = now - self._last[place]
            if step < 0:
                step += int(zone.with_name("max_energy_range_uj").read_text())
            self._drawn += step
            self._last[place] = now
        return self._drawn / 1000

    @staticmethod
    def _read(zone: Path) -> int:
        return int(zone.read_text())
