import numpy as np
import torch

from kdsearch.distill.losses.reviewkd import reviewkd
from tests.distill.losses.naive import array, conv, draw, nearest, norm, pool, sigmoid, tensor

STUDENTS = [draw(3, 4, 8, 8), draw(3, 6, 4, 4), draw(3, 5)]
TEACHERS = [draw(3, 7, 10, 10), draw(3, 9, 5, 5), draw(3, 8)]


def built(width):
    torch.manual_seed(0)
    return reviewkd([x.shape[1:] for x in STUDENTS], [x.shape[1:] for x in TEACHERS], width=width).double()


def context(student, teacher):
    levels = [(student, teacher)]
    levels += [(pool(student, n, n), pool(teacher, n, n)) for n in (4, 2, 1) if n < teacher.shape[2]]
    weights = [0.5**k for k in range(len(levels))]
    means = [((s - t) ** 2).mean((1, 2, 3)) for s, t in levels]
    return sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights)


def reviewed(loss):
    """The fused features, from deep to shallow, written out for three layers."""
    shallow, middle, deep = loss.fusions
    x = norm(conv(STUDENTS[2][:, :, None, None], deep.narrow[0]), deep.narrow[1])
    yield norm(conv(x, deep.widen[0]), deep.widen[1])
    for student, fusion, size in ((STUDENTS[1], middle, 5), (STUDENTS[0], shallow, 10)):
        y = nearest(x, *student.shape[2:])
        own = norm(conv(student, fusion.narrow[0]), fusion.narrow[1])
        gate = sigmoid(conv(np.concatenate([own, y], 1), fusion.attend))
        x = nearest(gate[:, :1] * own + gate[:, 1:] * y, size, size)
        yield norm(conv(x, fusion.widen[0]), fusion.widen[1])


def test_it_is_the_context_loss_of_the_fused_features():
    loss = built(width=512)
    assert loss.fusions[0].narrow[0].out_channels == 5
    deep, middle, shallow = reviewed(loss)
    expected = (
        context(deep, TEACHERS[2][:, :, None, None])
        + context(middle, TEACHERS[1])
        + context(shallow, TEACHERS[0])
    )
    found = loss([tensor(x) for x in STUDENTS], [tensor(x) for x in TEACHERS])
    np.testing.assert_allclose(array(found), expected, rtol=1e-10)


def test_it_is_zero_where_the_fused_features_are_the_teachers():
    loss = built(width=3)
    deep, middle, shallow = reviewed(loss)
    found = loss([tensor(x) for x in STUDENTS], [tensor(x) for x in (shallow, middle, deep)])
    assert found.abs().max() < 1e-12


def test_a_batch_of_one_has_no_statistics_but_a_loss():
    loss = built(width=3)
    found = loss([tensor(x[:1]) for x in STUDENTS], [tensor(x[:1]) for x in TEACHERS])
    assert found.isfinite().all()
