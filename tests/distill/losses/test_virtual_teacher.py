import numpy as np
import pytest
import torch

from kdsearch.distill.losses.virtual_teacher import virtual_teacher
from tests.distill.losses.cases import Array, divergence, random, softmax

LABELS = torch.tensor([0, 6, 3, 3])


def by_hand(label: int, correct: float) -> Array:
    return np.array([correct if c == label else (1 - correct) / 6 for c in range(7)])


@pytest.mark.parametrize("form", ["tempered", "published"])
def test_the_divergence_from_a_teacher_made_by_hand(form):
    student, expected = 2 * random(4, 7), []
    for z, label in zip(student.numpy(), LABELS.tolist(), strict=True):
        p = by_hand(label, 0.95)
        if form == "tempered":
            p = p ** (1 / 5) / sum(p ** (1 / 5))
            expected.append(25 * divergence(p, softmax(z / 5)))
        else:
            expected.append(divergence(softmax(p / 5), softmax(z)))
    value = virtual_teacher(student, LABELS, correct=0.95, temperature=5.0, form=form)
    torch.testing.assert_close(value, torch.tensor(expected, dtype=torch.float64))


def test_it_is_zero_for_a_student_that_says_the_same():
    student = torch.tensor(np.log([by_hand(label, 0.9) for label in LABELS.tolist()]) + 3)
    value = virtual_teacher(student, LABELS, correct=0.9)
    torch.testing.assert_close(value, torch.zeros_like(value))
