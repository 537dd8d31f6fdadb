"""What a student is compared with: one teacher, or the teachers that it learned from, together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def against(
    logits: Tensor, teacher_logits: Mapping[str, Tensor], members: Sequence[str], teacher: str | None
) -> tuple[Tensor, Tensor]:
    """Log-probabilities, float64 (n, classes), of the student and of what it is compared with.

    That is `teacher`, or the mean of the members' probabilities, each on the images of which it has something
    to say (a specialist's logits are NaN on others); images of which none has are left out. n is 0 when no
    teacher is named and the student learned from none.
    """
    chosen = list(members) if teacher is None else [teacher]
    if not chosen:
        nothing = logits.new_empty((0, logits.shape[1]), dtype=torch.float64)
        return nothing, nothing
    said = torch.stack([teacher_logits[name].double().log_softmax(dim=1) for name in chosen])
    silent = said.isnan().any(dim=2, keepdim=True)
    speaking = (~silent).sum(dim=0)
    mean = said.masked_fill(silent, -math.inf).logsumexp(dim=0) - speaking.log()
    rows = speaking[:, 0] > 0
    return logits[rows].double().log_softmax(dim=1), mean[rows]
