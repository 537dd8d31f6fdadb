import numpy as np
import pytest
import torch

from kdsearch.distill.losses.pkt import pkt
from tests.distill.losses.cases import Array, flat, random


def neighbours(features: list[Array], j: int, self_similarity: bool) -> Array:
    """p(i | j) for all i that j may have as neighbours."""

    def similarity(i: int) -> float:
        a, b = features[i], features[j]
        return (a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) + 1) / 2

    among = [similarity(i) for i in range(len(features)) if i != j or self_similarity]
    return np.array(among) / sum(among)


@pytest.mark.parametrize("self_similarity", [False, True])
def test_the_paper_s_formula_on_maps_of_different_width_and_resolution(self_similarity: bool):
    student, teacher = random(5, 2, 3, 3), random(5, 4, 6, 6, seed=1)
    expected = []
    for j in range(5):
        p, q = (neighbours(flat(f), j, self_similarity) for f in (teacher, student))
        expected.append(sum(p * np.log(p / q)))
    value = pkt(student, teacher, self_similarity=self_similarity)
    torch.testing.assert_close(value, torch.tensor(expected, dtype=torch.float64))


def test_opposite_features_are_never_neighbours_yet_the_loss_is_finite():
    student = torch.tensor([[1.0, 0], [-1, 0], [0, 1]], requires_grad=True)
    value = pkt(student, torch.tensor([[1.0, 0], [1, 0], [0, 1]]))
    (gradient,) = torch.autograd.grad(value.sum(), student)
    assert value.isfinite().all() and gradient.isfinite().all()
