import numpy as np
import torch

from kdsearch.distill.losses.kd import kd
from kdsearch.distill.losses.logit_standardized_kd import logit_standardized_kd
from tests.distill.losses.cases import Array, divergence, random, softmax


def standardized(z: Array) -> Array:
    mean = sum(z) / len(z)
    return (z - mean) / np.sqrt(sum((z - mean) ** 2) / len(z))


def test_the_paper_s_formula():
    student, teacher = 3 * random(4, 7), 5 * random(4, 7, seed=1) + 2
    expected = [
        2.5**2 * divergence(softmax(standardized(t) / 2.5), softmax(standardized(s) / 2.5))
        for s, t in zip(student.numpy(), teacher.numpy(), strict=True)
    ]
    value = logit_standardized_kd(student, teacher, temperature=2.5)
    torch.testing.assert_close(value, torch.tensor(expected, dtype=torch.float64))


def test_the_scale_and_the_mean_of_the_logits_are_the_student_s_own():
    teacher = random(4, 7)
    assert logit_standardized_kd(0.1 * teacher + 3, teacher).max() < 1e-6


def test_the_published_code_s_deviation_is_a_lower_temperature():
    """There z = (x − mean) / std with C − 1 in the standard deviation."""
    student, teacher = random(4, 7), random(4, 7, seed=1)
    published = [(x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True) for x in (student, teacher)]
    ratio = np.sqrt(6 / 7)
    ours = logit_standardized_kd(student, teacher, temperature=2.0 / ratio)
    torch.testing.assert_close(ours * ratio**2, kd(*published, temperature=2.0))
