from itertools import product

import numpy as np
import torch

from kdsearch.distill.losses.rkd import rkd
from tests.distill.losses.cases import Array, flat, random


def huber(x: float) -> float:
    return x * x / 2 if abs(x) <= 1 else abs(x) - 0.5


def distances(points: list[Array]) -> Array:
    """Over the mean of all pairs of different points."""
    table = np.array([[np.sqrt(sum((a - b) ** 2)) for b in points] for a in points])
    return table / np.mean([d for d in table.ravel() if d > 0])


def cosine(i: Array, j: Array, k: Array) -> float:
    """Of the angle at j."""
    a, b = i - j, k - j
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_the_paper_s_formula_on_maps_of_different_width_and_resolution():
    student, teacher = 3 * random(5, 2, 3, 3), random(5, 4, 6, 6, seed=1) + 7
    s, t = flat(student), flat(teacher)
    ours, theirs = distances(s), distances(t)
    pairs = sum(huber(ours[i, j] - theirs[i, j]) for i, j in product(range(5), repeat=2))
    triplets = sum(
        huber(cosine(s[i], s[j], s[k]) - cosine(t[i], t[j], t[k]))
        for i, j, k in product(range(5), repeat=3)
        if len({i, j, k}) == 3
    )
    value = rkd(student, teacher, distance=25.0, angle=50.0)
    assert value.shape == (5,)
    torch.testing.assert_close(value.mean().item(), 25 * pairs / 5**2 + 50 * triplets / 5**3)


def test_each_image_has_the_distances_and_angles_at_itself():
    student, teacher = random(5, 6), random(5, 9, seed=1)
    s, t = flat(student), flat(teacher)
    gaps = distances(s) - distances(t)
    expected = []
    for j in range(5):
        others = [(i, k) for i in range(5) for k in range(5) if len({i, j, k}) == 3]
        angles = [huber(cosine(s[i], s[j], s[k]) - cosine(t[i], t[j], t[k])) for i, k in others]
        expected.append(sum(map(huber, gaps[j])) / 5 + 2 * sum(angles) / 25)
    torch.testing.assert_close(rkd(student, teacher), torch.tensor(expected, dtype=torch.float64))


def test_it_takes_no_notice_of_rotation_shift_and_scale():
    teacher = random(6, 8)
    rotation = torch.linalg.qr(random(8, 8, seed=1)).Q
    assert rkd(3 * teacher @ rotation + 5, teacher).max() < 1e-12


def test_float32_is_exact_far_from_the_origin():
    """Features after a ReLU have a large mean, in which the differences would drown."""
    student, teacher = random(8, 40) + 100, random(8, 60, seed=1) + 100
    rounded = rkd(student.float(), teacher.float()).double()
    torch.testing.assert_close(rounded, rkd(student, teacher), rtol=1e-4, atol=0)


def test_the_same_image_twice_is_one_point_and_gives_finite_gradients():
    student = random(4, 6)[[0, 1, 1, 2, 3]].float().requires_grad_()
    value = rkd(student, random(5, 9, seed=1).float())
    (gradient,) = torch.autograd.grad(value.mean(), student)
    assert value.isfinite().all() and gradient.isfinite().all() and gradient.abs().max() < 10
