"""F1, class by class."""

from __future__ import annotations

from torch import Tensor

from kdsearch.measure.per_class import counts
from kdsearch.registry import register


@register("objective", direction="maximize", unit="fraction", label="Macro F1", known="predictions")
def macro_f1(logits: Tensor, labels: Tensor) -> float:
    """The mean over classes of F1 = 2 right / (there are + named so), in [0, 1].

    Over the classes that stand among labels (N,) or that logits (N, classes) name; F1 is the harmonic mean of
    precision and recall.
    """
    right, total, named = counts(logits, labels)
    seen = total + named > 0
    return float((2 * right[seen] / (total + named)[seen]).mean())
