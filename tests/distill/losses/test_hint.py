import numpy as np
import pytest
import torch

from kdsearch.distill.losses.hint import hint
from tests.distill.losses.naive import array, conv, draw, linear, pool, relu, sigmoid, tensor

STUDENT, TEACHER = draw(3, 4, 8, 6), draw(3, 5, 4, 4)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("regressor", ["conv1x1", "conv3x3", "linear"])
def test_it_is_the_squared_distance_after_the_regression(regressor, reduction):
    loss = hint((4, 8, 6), (5, 4, 4), regressor=regressor, reduction=reduction).double()
    size = (1, 1) if regressor == "linear" else (4, 4)
    squares = (conv(pool(STUDENT, *size), loss.regressor.project) - pool(TEACHER, *size)) ** 2
    expected = squares.mean((1, 2, 3)) if reduction == "mean" else squares.sum((1, 2, 3)) / 2
    np.testing.assert_allclose(array(loss(tensor(STUDENT), tensor(TEACHER))), expected, rtol=1e-12)


def test_the_gate_weighs_the_squares_of_each_channel():
    loss = hint((4, 8, 6), (5, 4, 4), attention="se").double()
    squeeze, _, excite = loss.gate.layers
    gate = sigmoid(linear(relu(linear(TEACHER.mean((2, 3)), squeeze)), excite))
    squares = ((conv(pool(STUDENT, 4, 4), loss.regressor.project) - TEACHER) ** 2).mean((2, 3))
    expected = (gate / gate.mean(1, keepdims=True) * squares).mean(1)
    np.testing.assert_allclose(array(loss(tensor(STUDENT), tensor(TEACHER))), expected, rtol=1e-12)


def test_training_the_gate_does_not_switch_the_channels_off():
    loss = hint((4, 8, 6), (5, 4, 4), attention="se").double()
    optimizer = torch.optim.SGD(loss.gate.parameters(), lr=10.0)
    for _ in range(50):
        optimizer.zero_grad()
        loss(tensor(STUDENT), tensor(TEACHER)).mean().backward()
        optimizer.step()
    weights = loss.gate(tensor(TEACHER))
    torch.testing.assert_close(weights.mean(1), torch.ones(3).double())
