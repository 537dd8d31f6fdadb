"""Top-1 accuracy."""

from __future__ import annotations

from torch import Tensor

from kdsearch.registry import register


@register("objective", direction="maximize", unit="fraction", label="Accuracy", known="predictions")
def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The fraction, in [0, 1], of logits (N, classes) whose largest entry stands at labels (N,)."""
    return float((logits.argmax(dim=1) == labels).double().mean())
