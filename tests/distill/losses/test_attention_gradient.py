import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from kdsearch.distill.losses.attention_gradient import attention_gradient
from tests.distill.losses.naive import array, draw, linear, tensor


def test_it_is_half_the_square_of_the_distance():
    student, teacher = draw(3, 2, 4, 5), draw(3, 2, 4, 5, seed=1)
    expected = [0.5 * sum(d**2 for d in (s - t).ravel()) for s, t in zip(student, teacher, strict=True)]
    np.testing.assert_allclose(attention_gradient(tensor(student), tensor(teacher)), expected, rtol=1e-12)


def test_it_trains_the_student_through_its_image_gradient():
    model, images, labels = (
        nn.Linear(6, 3).double(),
        tensor(draw(4, 6)).requires_grad_(),
        torch.tensor([0, 2, 1, 1]),
    )
    summed = F.cross_entropy(model(images), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(summed, images, create_graph=True)
    scores = np.exp(linear(draw(4, 6), model))
    expected = (scores / scores.sum(1, keepdims=True) - np.eye(3)[labels]) @ array(model.weight)
    loss = attention_gradient(gradient, torch.zeros_like(gradient))
    np.testing.assert_allclose(array(loss), (expected**2).sum(1) / 2, rtol=1e-12)
    loss.mean().backward()
    assert model.weight.grad.abs().sum() > 0
