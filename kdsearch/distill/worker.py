"""The process that a config runs in."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Worker:
    """Where a config runs: one of `world_size` workers that share every batch."""

    device: torch.device
    rank: int = 0
    world_size: int = 1
    threads: int = 1
