import numpy as np
import pytest
import torch

from kdsearch.distill.losses.nst import nst
from kdsearch.errors import InputError
from tests.distill.losses.naive import draw, pool, tensor

STUDENT, TEACHER = draw(2, 3, 8, 8), draw(2, 5, 4, 4)


def kernels(student, teacher):
    spread = np.mean([((t - s) ** 2).sum() for t in teacher for s in student])
    return {
        "linear": lambda x, y: (x * y).sum(),
        "poly": lambda x, y: (x * y).sum() ** 2,
        "gaussian": lambda x, y: np.exp(-((x - y) ** 2).sum() / (2 * spread)),
    }


@pytest.mark.parametrize("kernel", ["linear", "poly", "gaussian"])
def test_it_is_the_explicit_sum_of_kernels(kernel):
    expected = []
    for s, t in zip(pool(STUDENT, 4, 4), TEACHER, strict=True):
        s, t = ([channel / np.sqrt((channel**2).sum()) for channel in x] for x in (s, t))
        k = kernels(s, t)[kernel]
        expected.append(
            sum(k(x, y) for x in t for y in t) / 25
            + sum(k(x, y) for x in s for y in s) / 9
            - 2 * sum(k(x, y) for x in t for y in s) / 15
        )
    found = nst(tensor(STUDENT), tensor(TEACHER), kernel=kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("kernel", ["linear", "poly", "gaussian"])
def test_it_is_zero_for_the_same_channels_in_another_order(kernel):
    shuffled = tensor(TEACHER)[:, [3, 0, 4, 1, 2]]
    assert nst(shuffled, tensor(TEACHER), kernel=kernel).abs().max() < 1e-12


def test_a_vector_is_refused():
    with pytest.raises(InputError, match="more than one position"):
        nst(torch.ones(2, 5), tensor(TEACHER))
