"""A teacher made by hand: right with a given probability, and impartial between the wrong classes."""

from __future__ import annotations

from math import log
from typing import Annotated, Literal

from annotated_types import Interval
from torch import Tensor
from torch.nn import functional as F

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register
from kdsearch.types import Positive, Scheduled, Searched


@register("loss", family="response", paper="Yuan, Tay, Li, Wang & Feng (2020)")
def virtual_teacher(
    student_logits: Tensor,
    labels: Tensor,
    *,
    correct: Annotated[float, Interval(gt=0, lt=1), Searched(0.9, 0.999)] = 0.99,
    temperature: Annotated[Positive, Scheduled(), Searched(2, 40, log=True)] = 20.0,
    form: Literal["tempered", "published"] = "tempered",
) -> Tensor:
    """T² · KL(virtual teacher at T ‖ softmax(student / T)) of logits (B, C) and labels (B,), as (B,).

    The virtual teacher gives the label the probability `correct` and the other classes an equal share of
    the rest; at T its logarithms are divided by T and normalised anew. Zero when the student says the same.
    The factor T² is that of `kd`, so that a weight means the same here; the paper writes none.

    The published code, on which the paper's tables rest, does otherwise: KL(softmax(probabilities / T) ‖
    softmax(student)), where the teacher is nearly uniform, the student has no temperature and there is no
    factor T². It also takes the mean over the classes, and then multiplies by a constant.

    Args:
        correct: The virtual teacher's probability of the label.
        temperature: T. The paper takes 20 or more.
        form: `tempered` as in the paper, or `published` as in its code.
    """
    classes = student_logits.shape[1]
    right, wrong = correct, (1 - correct) / (classes - 1)
    logits = at_least_float32(student_logits)
    if form == "tempered":
        right, wrong, logits = log(right), log(wrong), logits / temperature
    teacher = logits.new_full(logits.shape, wrong / temperature).scatter(
        1, labels[:, None], right / temperature
    )
    divergence = F.kl_div(
        logits.log_softmax(1), teacher.log_softmax(1), reduction="none", log_target=True
    ).sum(1)
    return temperature**2 * divergence if form == "tempered" else divergence
