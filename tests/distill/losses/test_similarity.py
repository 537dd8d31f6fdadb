import numpy as np
import torch

from kdsearch.distill.losses.similarity import similarity
from tests.distill.losses.cases import Array, flat, random


def rows(features: list[Array]) -> Array:
    gram = np.array([[sum(a * b) for b in features] for a in features])
    return np.array([row / np.sqrt(sum(row**2)) for row in gram])


def test_the_paper_s_formula_on_maps_of_different_width_and_resolution():
    student, teacher = random(5, 2, 3, 3), random(5, 4, 6, 6, seed=1)
    gap = rows(flat(teacher)) - rows(flat(student))
    value = similarity(student, teacher)
    torch.testing.assert_close(value.mean().item(), np.linalg.norm(gap, "fro") ** 2 / 5**2)
    torch.testing.assert_close(value, torch.from_numpy((gap**2).sum(1) / 5))


def test_it_takes_no_notice_of_rotation_and_scale():
    teacher = random(5, 8)
    rotation = torch.linalg.qr(random(8, 8, seed=1)).Q
    assert similarity(3 * teacher @ rotation, teacher).max() < 1e-12
