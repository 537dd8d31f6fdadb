"""Accuracy on one class, or on the worst."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kdsearch.errors import InputError, nearest
from kdsearch.measure.per_class import class_accuracies
from kdsearch.registry import register


@register("objective", direction="maximize", unit="fraction", label="Class accuracy", known="predictions")
def class_accuracy(
    logits: Tensor, labels: Tensor, classes: Sequence[str], *, of: str | int | None = None
) -> float:
    """The accuracy of logits (N, classes) on the images of one class, in [0, 1].

    Args:
        logits: Of the whole split.
        labels: (N,), class indices.
        classes: Their names.
        of: The class, by name or number; by default the one with the lowest accuracy.

    Raises:
        InputError: There is no such class.
    """
    accuracies = class_accuracies(logits, labels)
    if of is None:
        return float(accuracies[~accuracies.isnan()].min())
    names = list(classes)
    if str(of) in names:
        return float(accuracies[names.index(str(of))])
    if isinstance(of, int) and 0 <= of < len(accuracies):
        return float(accuracies[of])
    raise InputError(f"class_accuracy: there is no class '{of}'{nearest(of, names)}")
