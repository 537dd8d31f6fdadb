import numpy as np
import pytest
import torch

from kdsearch.distill.losses.dkd import dkd
from kdsearch.distill.losses.kd import kd
from tests.distill.losses.cases import divergence, random, softmax

LABELS = torch.tensor([0, 6, 3, 3])


def test_the_paper_s_formula():
    student, teacher = random(4, 7), random(4, 7, seed=1)
    expected = []
    for s, t, label in zip(student.numpy(), teacher.numpy(), LABELS, strict=True):
        p, q = softmax(t / 3), softmax(s / 3)
        true = divergence(np.array([p[label], 1 - p[label]]), np.array([q[label], 1 - q[label]]))
        others = [c for c in range(7) if c != label]
        other = divergence(p[others] / (1 - p[label]), q[others] / (1 - q[label]))
        expected.append(9 * (0.7 * true + 5 * other))
    value = dkd(student, teacher, LABELS, alpha=0.7, beta=5.0, temperature=3.0)
    torch.testing.assert_close(value, torch.tensor(expected, dtype=torch.float64))


def test_kd_is_the_case_where_beta_is_what_the_teacher_leaves_to_the_others():
    student, teacher = random(4, 7), random(4, 7, seed=1)
    left = 1 - (teacher / 4).softmax(1).gather(1, LABELS[:, None])[:, 0]
    true = dkd(student, teacher, LABELS, alpha=1.0, beta=0.0)
    other = dkd(student, teacher, LABELS, alpha=0.0, beta=1.0)
    torch.testing.assert_close(true + left * other, kd(student, teacher))


@pytest.mark.parametrize("scale", [1, 3e3])
def test_it_stays_exact_where_a_mask_of_minus_1000_does_not(scale: float):
    student = torch.tensor([[0.0, -1, -2]]) * scale
    teacher = torch.tensor([[0.0, -2, -1]]) * scale
    value = dkd(student, teacher, torch.tensor([0]), alpha=0.0, beta=1.0, temperature=1.0)
    p = 1 / (1 + np.exp(-scale)) if scale < 100 else 1.0
    torch.testing.assert_close(value, torch.tensor([(2 * p - 1) * scale], dtype=torch.float32))


def test_two_classes_have_no_other_classes_to_rank():
    student, teacher = random(3, 2), random(3, 2, seed=1)
    other = dkd(student, teacher, torch.tensor([0, 1, 1]), alpha=0.0)
    torch.testing.assert_close(other, torch.zeros_like(other))
