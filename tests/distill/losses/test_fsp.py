import numpy as np
import pytest
import torch

from kdsearch.distill.losses.fsp import fsp
from kdsearch.errors import InputError
from tests.distill.losses.cases import Array, random

STUDENT, TEACHER = [(2, 6, 6), (3, 3, 3), (4, 3, 3)], [(2, 8, 8), (5, 4, 4), (4, 2, 2)]


def shrunk(image: Array, size: int, pool) -> Array:
    """A map (C, H, H) in blocks, each of which becomes one position."""
    step = image.shape[1] // size
    blocks = [[image[:, y : y + step, x : x + step] for x in range(0, size * step, step)]
              for y in range(0, size * step, step)]  # fmt: skip
    return np.array([[[pool(b[c]) for b in row] for row in blocks] for c in range(len(image))])


def flow(bottom: Array, top: Array, pool) -> Array:
    size = min(bottom.shape[1], top.shape[1])
    bottom, top = shrunk(bottom, size, pool), shrunk(top, size, pool)
    g = np.zeros((len(bottom), len(top)))
    for m in range(len(bottom)):
        for n in range(len(top)):
            for y in range(size):
                for x in range(size):
                    g[m, n] += bottom[m, y, x] * top[n, y, x] / size**2
    return g


@pytest.mark.parametrize(("reduction", "total"), [("sum", np.sum), ("mean", np.mean)])
@pytest.mark.parametrize(("pool", "pooled"), [("max", np.max), ("average", np.mean)])
def test_the_paper_s_formula_on_layers_of_different_width_and_resolution(reduction, total, pool, pooled):
    students = [random(3, *shape, seed=i) for i, shape in enumerate(STUDENT)]
    teachers = [random(3, *shape, seed=9 + i) for i, shape in enumerate(TEACHER)]
    loss = fsp(STUDENT, TEACHER, reduction=reduction, pool=pool).double()
    weight = loss.project[1].weight.detach()[:, :, 0, 0].numpy()
    expected = []
    for image in range(3):
        s, t = ([f[image].numpy() for f in features] for features in (students, teachers))
        s[1] = np.einsum("os,shw->ohw", weight, s[1])
        gaps = [flow(s[i], s[i + 1], pooled) - flow(t[i], t[i + 1], pooled) for i in range(2)]
        expected.append(sum(total(gap**2) for gap in gaps))
    value = loss(students, teachers)
    torch.testing.assert_close(value, torch.tensor(expected, dtype=torch.float64))


def test_only_layers_of_another_width_get_a_projection():
    assert [tuple(p.shape) for p in fsp(STUDENT, TEACHER).parameters()] == [(5, 3, 1, 1)]


def test_one_layer_has_no_flow():
    with pytest.raises(InputError, match="'fsp' needs two matched layers or more, not 1"):
        fsp(STUDENT[:1], TEACHER[:1])
