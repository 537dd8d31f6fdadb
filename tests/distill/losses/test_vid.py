import numpy as np
import pytest
import torch

from kdsearch.distill.losses.vid import FLOOR, vid
from tests.distill.losses.naive import array, conv, draw, pool, relu, tensor

STUDENT, TEACHER = draw(3, 4, 4, 4), draw(3, 5, 8, 8)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_it_is_the_negative_log_likelihood(depth, reduction):
    loss = vid((4, 4, 4), (5, 8, 8), depth=depth, reduction=reduction).double()
    torch.nn.init.uniform_(loss.alpha, -1, 2)
    mean = conv(STUDENT, loss.mean[0])
    for layer in loss.mean[2::2]:
        mean = conv(relu(mean), layer)
    target, total = pool(TEACHER, 4, 4), np.zeros(3)
    for c in range(5):
        variance = np.log(1 + np.exp(array(loss.alpha)[c, 0, 0])) + FLOOR
        total += (((target - mean)[:, c] ** 2 / variance + np.log(variance)) / 2).sum((1, 2))
    expected = total / target[0].size if reduction == "mean" else total
    np.testing.assert_allclose(array(loss(tensor(STUDENT), tensor(TEACHER))), expected, rtol=1e-10)


@pytest.mark.parametrize("variance", [0.01, 5.0, 500.0])
def test_it_starts_at_the_variance_asked_for(variance):
    loss = vid((4,), (5,), variance=variance)
    torch.testing.assert_close(torch.nn.functional.softplus(loss.alpha), torch.full((5, 1, 1), variance))


def test_it_is_least_where_the_variance_is_the_mean_square_of_the_errors():
    loss = vid((4, 4, 4), (5, 8, 8)).double()
    squares = ((pool(TEACHER, 4, 4) - array(loss.mean(tensor(STUDENT)))) ** 2).mean((0, 2, 3))
    loss.alpha.data = tensor(np.log(np.expm1(squares - FLOOR))).view(5, 1, 1)
    value = loss(tensor(STUDENT), tensor(TEACHER)).mean()
    value.backward()
    np.testing.assert_allclose(value.item(), np.mean(1 + np.log(squares)) / 2, rtol=1e-10)
    assert loss.alpha.grad.abs().max() < 1e-12
