"""A timed objective that tells which kind of node it was taken on."""

from __future__ import annotations

from torch import nn

from kdsearch.registry import register


@register("objective", direction="minimize", known="timed")
def spot(model: nn.Module, shape: tuple[int, int, int]) -> float:
    """7 on a node with the resource `edge`, 1 on any other."""
    import ray

    return 7.0 if "edge" in ray.get_runtime_context().get_assigned_resources() else 1.0
