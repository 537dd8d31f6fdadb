import torch

from kdsearch.distill.losses.kd import kd
from kdsearch.distill.losses.logits_mse import logits_mse
from tests.distill.losses.cases import random


def test_half_the_sum_of_squares_over_the_classes():
    student, teacher = random(4, 7), random(4, 7, seed=1)
    expected = [
        0.5 * sum((s - t) ** 2 for s, t in zip(a, b, strict=True))
        for a, b in zip(student.tolist(), teacher.tolist(), strict=True)
    ]
    torch.testing.assert_close(logits_mse(student, teacher), torch.tensor(expected, dtype=torch.float64))


def test_it_is_the_limit_of_kd_at_a_high_temperature():
    student, teacher = (z - z.mean(1, keepdim=True) for z in (random(4, 7), random(4, 7, seed=1)))
    warm = 7 * kd(student, teacher, temperature=1e4)
    torch.testing.assert_close(warm, logits_mse(student, teacher), rtol=1e-3, atol=0)
