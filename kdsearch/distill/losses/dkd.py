"""Decoupled distillation: the true class apart from the others."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsearch.distill.connect import at_least_float32
from kdsearch.registry import register
from kdsearch.types import NonNegative, Searched, Temperature


@register("loss", family="response", paper="Zhao, Cui, Song, Qiu & Liang (2022)")
def dkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    alpha: Annotated[NonNegative, Searched(0.5, 2)] = 1.0,
    beta: Annotated[NonNegative, Searched(0.5, 16, log=True)] = 8.0,
    temperature: Annotated[Temperature, Searched(1, 20, log=True)] = 4.0,
) -> Tensor:
    """T² · (alpha · KL(b_t ‖ b_s) + beta · KL(o_t ‖ o_s)) of logits (B, C) and labels (B,), as (B,).

    b is the distribution over "the true class" and "any other", o the one over the other classes alone,
    both at temperature T; `kd` is alpha = 1 and beta = 1 − (teacher's probability of the true class). Zero
    when the two have the same softmax.

    The published code leaves the true class out by subtracting 1000 from its logit and takes the logarithm
    of rounded probabilities; here it is left out exactly and all is done on logarithms. That code also lets
    the loss grow over the first 20 epochs, which is a matter of the weight's schedule.

    Args:
        alpha: Weight of the true class against the others.
        beta: Weight of the distribution over the other classes. The paper takes 8 for most pairs on
            CIFAR-100, and 0.5 to 2 for a teacher that is not very confident.
        temperature: T, of both parts.
    """
    true_student, other_student = _decoupled(at_least_float32(student_logits) / temperature, labels)
    true_teacher, other_teacher = _decoupled(at_least_float32(teacher_logits) / temperature, labels)
    true = F.kl_div(true_student, true_teacher, reduction="none", log_target=True).sum(1)
    other = F.kl_div(other_student, other_teacher, reduction="none", log_target=True).sum(1)
    return temperature**2 * (alpha * true + beta * other)


def _decoupled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the true class and any other (B, 2), and of the others alone (B, C − 1)."""
    label = labels[:, None]
    others = torch.arange(logits.shape[1] - 1, device=logits.device)
    rest = logits.gather(1, others + (others >= label))
    binary = torch.cat([logits.gather(1, label), rest.logsumexp(1, keepdim=True)], 1)
    return binary.log_softmax(1), rest.log_softmax(1)
