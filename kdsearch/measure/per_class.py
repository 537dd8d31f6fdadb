"""What each class comes to."""

from __future__ import annotations

from torch import Tensor


def counts(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each class, float64 (classes,): its images predicted correctly, its images, images predicted as it.

    Args:
        logits: (N, classes).
        labels: (N,), class indices.
    """
    named, classes = logits.argmax(dim=1), logits.shape[1]
    right = labels[named == labels].bincount(minlength=classes)
    return (
        right.double(),
        labels.bincount(minlength=classes).double(),
        named.bincount(minlength=classes).double(),
    )


def class_accuracies(logits: Tensor, labels: Tensor) -> Tensor:
    """The accuracy on the images of each class, (classes,) float64; NaN where a class has none."""
    right, total, _ = counts(logits, labels)
    return right / total
