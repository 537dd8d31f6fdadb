"""Tolerance: a network is kept from being far surer of one class than of the next few."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Interval
from torch import Tensor

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register
from kdsearch.types import Searched


@register("loss", family="response", paper="Yang, Xie, Qiao & Yuille (2019)")
def tolerant(student_logits: Tensor, *, k: Annotated[int, Interval(ge=2), Searched(2, 10)] = 5) -> Tensor:
    """Highest probability − mean of the 2nd to the k-th highest, of logits (B, C), as (B,).

    Between 0, when the k highest are equal, and 1. For the network that becomes a teacher: it takes no
    teacher and no labels. The paper trains teachers on eta · `ce` + (1 − eta) · this, with eta = 0.6 and
    k = 5, so that the secondary classes it shows to its students are few and meaningful.

    Args:
        k: How many of the highest classes count; all, when there are fewer.
    """
    highest = at_least_float32(student_logits).softmax(1).topk(min(k, student_logits.shape[1])).values
    return highest[:, 0] - highest[:, 1:].mean(1)
