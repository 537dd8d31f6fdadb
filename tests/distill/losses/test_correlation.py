from math import exp, factorial

import numpy as np
import pytest
import torch

from kdsearch.distill.losses.correlation import correlation
from tests.distill.losses.cases import Array, random


def pooled(feature: torch.Tensor) -> Array:
    """The mean of each channel over its positions."""
    return np.array([[channel.mean() for channel in image] for image in feature.detach().numpy()])


def kernel(features: Array, gamma: float, order: int) -> Array:
    units = [x / np.sqrt(sum(x**2)) for x in features]
    terms = [exp(-2 * gamma) * (2 * gamma) ** p / factorial(p) for p in range(order + 1)]
    return np.array([[sum(c * (a @ b) ** p for p, c in enumerate(terms)) for b in units] for a in units])


@pytest.mark.parametrize("width", [4, 3])
def test_the_paper_s_formula_on_maps_of_different_resolution_and_width(width: int):
    student, teacher = random(5, width, 3, 3), random(5, 4, 6, 6, seed=1)
    loss = correlation((width, 3, 3), (4, 6, 6), gamma=0.6, order=3).double()
    ours = pooled(student)
    if width != 4:
        weight, bias = (p.detach().numpy() for p in (loss.embed.weight, loss.embed.bias))
        ours = np.array([[w @ x + b for w, b in zip(weight, bias, strict=True)] for x in ours])
    gap = kernel(ours, 0.6, 3) - kernel(pooled(teacher), 0.6, 3)
    value = loss(student, teacher)
    torch.testing.assert_close(value.mean().item(), np.linalg.norm(gap, "fro") ** 2 / 5**2)


def test_the_expansion_tends_to_the_gaussian_kernel():
    rows = torch.nn.functional.normalize(random(5, 6))
    gaussian = torch.exp(-0.4 * torch.cdist(rows, rows) ** 2)
    torch.testing.assert_close(correlation((6,), (6,), order=20)._kernel(3 * rows), gaussian)


def test_the_loss_between_neighbours():
    student, teacher = random(4, 6), random(4, 6, seed=1)
    gaps = np.abs((student - teacher).numpy())
    expected = np.mean([gaps[i] @ gaps[i + 1] for i in range(3)])
    value = correlation((6,), (6,), form="neighbours")(student, teacher)
    torch.testing.assert_close(value.item(), expected)


def test_equal_widths_need_no_parameters():
    assert not list(correlation((4, 3, 3), (4, 8, 8)).parameters())
    assert [tuple(p.shape) for p in correlation((4, 3, 3), (6, 8, 8)).parameters()] == [(6, 4), (6,)]
