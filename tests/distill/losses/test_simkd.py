"""SimKD, against float64 NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from kdsearch.distill.losses.simkd import simkd
from tests.distill.losses.cases import random


def pooled(maps, size):
    factor = maps.shape[2] // size
    return maps.reshape(*maps.shape[:2], size, factor, size, factor).mean((3, 5))


@pytest.mark.parametrize(("near", "far"), [(8, 4), (4, 8), (4, 4)])
def test_it_is_the_mean_square_at_the_smaller_resolution(near, far):
    student, teacher = random(3, 6, near, near), random(3, 6, far, far, seed=1)
    size = min(near, far)
    expected = (pooled(student.numpy(), size) - pooled(teacher.numpy(), size)) ** 2
    np.testing.assert_allclose(simkd(student, teacher), expected.mean((1, 2, 3)), rtol=1e-10)
