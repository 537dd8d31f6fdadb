"""The name of the device that a figure was taken on."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import torch


def device_name(device: torch.device | str) -> str:
    """The model name of `device`: of the GPU, or of this machine's CPU."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name() if device.type == "cpu" else str(device)


def _cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.exists() else ""
    found = re.search(r"^model name\s*:\s*(\S.*)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine() or "unknown CPU"
