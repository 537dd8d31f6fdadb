"""What a student is compared with: one teacher, or the teachers that it learned from, together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def reference(
    teacher_logits: Mapping[str, Tensor], members: Sequence[str], teacher: str | None
) -> Tensor | None:
    """Log-probabilities float64 [N, classes] of `teacher`, or of the mean of the members' probabilities.

    None when there is nothing to compare with: no teacher is named and the student learned from none.
    """
    chosen = list(members) if teacher is None else [teacher]
    if not chosen:
        return None
    logs = torch.stack([teacher_logits[name].double().log_softmax(dim=1) for name in chosen])
    return logs.logsumexp(dim=0) - torch.tensor(len(chosen), dtype=torch.float64).log()
