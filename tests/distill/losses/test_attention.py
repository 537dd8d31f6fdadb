import numpy as np
import pytest
import torch

from kdsearch.distill.losses.attention import attention
from kdsearch.errors import InputError
from tests.distill.losses.naive import array, draw, pool, tensor

STUDENT, TEACHER = draw(3, 4, 9, 9), draw(3, 7, 6, 6)


def energy(feature, p):
    total = np.zeros((len(feature), 1, *feature.shape[2:]))
    for channel in range(feature.shape[1]):
        total[:, 0] += np.abs(feature[:, channel]) ** p
    return total


def unit(maps):
    return np.stack([m.ravel() / np.sqrt((m**2).sum()) for m in maps])


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
def test_the_paper_takes_the_distance_of_unit_attention_maps(p):
    difference = unit(pool(energy(STUDENT, p), 6, 6)) - unit(energy(TEACHER, p))
    expected = np.sqrt((difference**2).sum(1))
    np.testing.assert_allclose(attention(tensor(STUDENT), tensor(TEACHER), p=p), expected, rtol=1e-12)


def test_the_code_pools_the_features_and_takes_the_mean_of_squares():
    difference = unit(energy(pool(STUDENT, 6, 6), 2)) - unit(energy(TEACHER, 2))
    found = attention(tensor(STUDENT), tensor(TEACHER), variant="code")
    np.testing.assert_allclose(found, (difference**2).mean(1), rtol=1e-12)


def test_it_is_zero_with_a_finite_gradient_where_both_look_alike():
    student = tensor(TEACHER).repeat(1, 2, 1, 1).requires_grad_()
    loss = attention(student, tensor(TEACHER))
    loss.sum().backward()
    assert loss.abs().max() < 1e-12
    assert student.grad.isfinite().all()


def test_tokens_are_laid_out_without_their_class_token():
    tokens = tensor(TEACHER).flatten(2).mT
    with_class = torch.cat([torch.ones(3, 1, 7), tokens], 1)
    assert attention(with_class, tensor(TEACHER)).abs().max() < 1e-12
    assert array(attention(tokens, tensor(TEACHER))).max() < 1e-12


def test_a_vector_is_refused():
    with pytest.raises(InputError, match="more than one position"):
        attention(torch.ones(2, 5), tensor(TEACHER))
