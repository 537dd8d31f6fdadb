import numpy as np
import pytest
import torch

from kdsearch.distill.losses.mutual_information import mutual_information
from tests.distill.losses.naive import array, draw, linear, tensor, unit

STUDENT, TEACHER, LABELS = draw(5, 4, 3, 3), draw(5, 7), [0, 1, 0, 2, 1]


@pytest.mark.parametrize("drop", [False, True])
def test_it_is_the_surprise_at_the_own_teacher_embedding(drop):
    loss = mutual_information((4, 3, 3), (7,), temperature=0.2, dim=6, drop_same_class=drop).double()
    s = unit(linear(STUDENT.mean((2, 3)), loss.embed_student.project))
    t = unit(linear(TEACHER, loss.embed_teacher.project))
    expected = []
    for i in range(5):
        candidates = [j for j in range(5) if j == i or not (drop and LABELS[i] == LABELS[j])]
        expected.append(
            -np.log(np.exp(s[i] @ t[i] / 0.2) / sum(np.exp(s[i] @ t[j] / 0.2) for j in candidates))
        )
    found = loss(tensor(STUDENT), tensor(TEACHER), torch.tensor(LABELS))
    np.testing.assert_allclose(array(found), expected, rtol=1e-10)


def test_one_image_alone_says_nothing():
    loss = mutual_information((4, 3, 3), (7,)).double()
    assert loss(tensor(STUDENT[:1]), tensor(TEACHER[:1]), torch.tensor([0])).item() == 0
