"""Negative log-likelihood."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from kdsearch.registry import register


@register("objective", direction="minimize", unit="nats", label="NLL", known="predictions")
def nll(logits: Tensor, labels: Tensor) -> float:
    """The mean of -log p(label) under the softmax of logits (N, classes), in nats."""
    return float(cross_entropy(logits.double(), labels))
