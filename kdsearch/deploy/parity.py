"""How far a deployed form is from the model that was trained."""

from __future__ import annotations

from torch import Tensor


def parity(trained: Tensor, deployed: Tensor) -> dict[str, float]:
    """The distance of two sets of logits (N, classes) of the same images, by metric.

    `logit_difference` is the largest absolute difference of two logits, `changed_predictions` the share of
    images with another largest entry.
    """
    changed = (trained.argmax(1) != deployed.argmax(1)).double().mean()
    return {
        "logit_difference": float((trained.double() - deployed.double()).abs().max()),
        "changed_predictions": float(changed),
    }
