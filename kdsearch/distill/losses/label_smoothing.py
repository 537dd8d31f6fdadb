"""Label smoothing as a loss of its own."""

from __future__ import annotations

from math import log

from torch import Tensor

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register


@register("loss", family="response", paper="Szegedy, Vanhoucke, Ioffe, Shlens & Wojna (2016)")
def label_smoothing(student_logits: Tensor) -> Tensor:
    """KL(uniform ‖ softmax(student)) of logits (B, C), as (B,): zero only for equal logits.

    It takes no teacher and no labels. With weights 1 − ε for `ce` and ε for this the objective is the
    cross-entropy with labels smoothed by ε, less the constant ε · log C. (A penalty on confident outputs,
    Pereyra et al., 2017, is the KL divergence the other way round.)
    """
    return -at_least_float32(student_logits).log_softmax(1).mean(1) - log(student_logits.shape[1])
