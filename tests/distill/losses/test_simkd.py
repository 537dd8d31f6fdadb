import numpy as np
import pytest

from kdsearch.distill.losses.simkd import simkd
from tests.distill.losses.naive import array, conv, draw, norm, pool, relu, tensor


@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize("sides", [(8, 4), (4, 6), (8, None)])
def test_it_is_the_mean_square_of_what_the_projector_leaves(sides, rectified):
    near, far = sides
    student, teacher = draw(3, 4, near, near), draw(3, 6, far, far) if far else draw(3, 6)
    loss = simkd(student.shape[1:], teacher.shape[1:], squeeze=3, rectified=rectified).double()
    found = loss(tensor(student), tensor(teacher))
    size = min(near, far or 1)
    target = pool(teacher if far else teacher[:, :, None, None], size, size)
    conv1, norm1, _, conv2, norm2, _, conv3, norm3, *_ = loss.projector
    x = relu(norm(conv(pool(student, size, size), conv1), norm1))
    x = norm(conv(relu(norm(conv(x, conv2), norm2)), conv3), norm3)
    expected = (((relu(x) if rectified else x) - target) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(array(found), expected, rtol=1e-10)
    assert conv1.out_channels == 2


def test_it_is_zero_where_the_projection_is_exact():
    loss = simkd((4, 8, 8), (6, 8, 8)).double()
    student = tensor(draw(3, 4, 8, 8))
    assert loss(student, loss.project(student).detach()).abs().max() < 1e-12
