"""Optimisers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from torch import nn

from kdsearch.registry import register
from kdsearch.types import Fraction, NonNegative, Positive, Searched


@register("optimizer", paper="Sutskever et al. (2013)")
def sgd(
    params: Iterable[nn.Parameter],
    *,
    lr: Annotated[Positive, Searched(0.005, 0.5, log=True)] = 0.1,
    momentum: Fraction = 0.9,
    nesterov: bool = True,
    weight_decay: NonNegative = 5e-4,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum.

    Args:
        lr: Peak learning rate.
        momentum: Of the running mean of gradients.
        nesterov: Look ahead along the momentum.
        weight_decay: L2 penalty on all parameters.
    """
    return torch.optim.SGD(
        params,
        lr,
        momentum=momentum,
        nesterov=nesterov and momentum > 0,
        weight_decay=weight_decay,
        fused=True,
    )


@register("optimizer", paper="Loshchilov & Hutter (2019)")
def adamw(
    params: Iterable[nn.Parameter],
    *,
    lr: Annotated[Positive, Searched(1e-4, 1e-2, log=True)] = 1e-3,
    weight_decay: NonNegative = 0.01,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay.

    Args:
        lr: Peak learning rate.
        weight_decay: Decay of the weights themselves, times the learning rate.
        beta1: Of the running mean of gradients.
        beta2: Of the running mean of squared gradients.
    """
    return torch.optim.AdamW(params, lr, betas=(beta1, beta2), weight_decay=weight_decay, fused=True)
