"""What a figure was taken on."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from kdsearch.machine import cpu_name


def device_name(device: torch.device | str) -> str:
    """The model name of `device`: of the GPU, or of this machine's CPU."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name() if device.type == "cpu" else str(device)


def conditions(device: torch.device | str, runtime: str = "") -> dict[str, str]:
    """What a timing depends on beside the model, which may run in another `runtime` than PyTorch.

    The `device`, the CPU's `governor` where the system tells it, and the `libraries` with their versions.
    """
    governor = _governor()
    others = f"{runtime}, " if runtime else ""
    libraries = f"{others}torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}"
    return {"device": device_name(device), **({"governor": governor} if governor else {})} | {
        "libraries": libraries
    }


def _governor(cpus: Path = Path("/sys/devices/system/cpu")) -> str:
    """How the CPUs choose their clock, as `performance`; '' where the system does not tell, as in a VM."""
    read = {path.read_text().strip() for path in cpus.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    return ", ".join(sorted(read))
