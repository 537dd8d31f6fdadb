"""The smallest mixture of a few vectors, found without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor

#: After 18 the gap is at its floor, however long and short the vectors: ‖mixture‖² is then exact to 1e-10 of
#: their mean square length.
STEPS = 18
#: The gap aimed for. At a smaller one rounding decides between minimisers, and equal vectors part.
GAP = 1e-12


def least_norm(gram: Tensor, limit: float) -> Tensor:
    """The α (K,) that minimises ½ αᵀ·gram·α with Σα = 1 and 0 ≤ α ≤ max(limit, 1/K), in float64.

    A primal-dual interior-point method with a fixed number of steps, so that no value is ever read back to
    the host. Of many minimisers it finds one in their middle: equal vectors get equal α.

    Args:
        gram: Inner products (K, K) of the vectors to be mixed.
        limit: The most that one of them may count.
    """
    count = len(gram)
    alpha = gram.new_full((count,), 1 / count, dtype=torch.float64)
    if limit * count <= 1 + 1e-9:
        return alpha
    gram = gram.double() / gram.diagonal().mean().clamp_min(1e-30)
    slack = torch.cat([alpha, limit - alpha])  # α ≥ 0, then limit − α ≥ 0
    dual = 1 / (count * slack)
    for _ in range(STEPS):
        target = (0.03 * (slack @ dual) / len(slack)).clamp_min(GAP)
        pull, ratio = target / slack, dual / slack
        force = pull[:count] - pull[count:] - gram @ alpha
        factor, _ = torch.linalg.cholesky_ex(gram + (ratio[:count] + ratio[count:]).diag())
        free, ones = torch.cholesky_solve(torch.stack([force, torch.ones_like(force)], 1), factor).unbind(1)
        step = free - ones * (free.sum() / ones.sum())  # Σ step = 0
        slack_step = torch.cat([step, -step])
        dual_step = pull - dual - ratio * slack_step
        nearest = torch.cat([-slack_step / slack, -dual_step / dual]).max()
        length = (0.99 / nearest.clamp_min(1e-30)).clamp_max(1)
        alpha, slack, dual = alpha + length * step, slack + length * slack_step, dual + length * dual_step
    return alpha / alpha.sum()
