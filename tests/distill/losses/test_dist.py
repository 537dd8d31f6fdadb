import numpy as np
import torch

from kdsearch.distill.losses.dist import dist
from tests.distill.losses.cases import Array, random, softmax


def distance(a: Array, b: Array) -> float:
    return 1 - float(np.corrcoef(a, b)[0, 1])


def test_the_paper_s_formula_times_the_square_of_the_temperature():
    student, teacher = 2 * random(6, 5), 2 * random(6, 5, seed=1)
    q, p = (np.array([softmax(row / 3) for row in z.numpy()]) for z in (student, teacher))
    inter = np.array([distance(q[i], p[i]) for i in range(6)])
    intra = np.mean([distance(q[:, c], p[:, c]) for c in range(5)])
    value = dist(student, teacher, beta=2.0, gamma=0.5, temperature=3.0)
    torch.testing.assert_close(value, torch.from_numpy(9 * (2 * inter + 0.5 * intra)))


def test_a_batch_of_one_image_has_no_relations_within_a_class():
    student, teacher = random(1, 5).requires_grad_(), random(1, 5, seed=1)
    value = dist(student, teacher, beta=0.0, gamma=1.0, temperature=1.0)
    assert value.item() == 1
    assert not torch.autograd.grad(value.sum(), student)[0].any()


def test_rare_classes_count_as_much_as_the_others():
    """Columns of tiny probabilities: the correlation does not vanish in a constant that saves a division."""
    logits = random(6, 5)
    logits[:, 0] -= 16
    columns = dist(logits, logits.roll(1, 0), beta=0.0, gamma=1.0, temperature=1.0)
    q, p = (np.array([softmax(row) for row in z.numpy()]) for z in (logits, logits.roll(1, 0)))
    expected = np.mean([distance(q[:, c], p[:, c]) for c in range(5)])
    torch.testing.assert_close(columns, torch.full_like(columns, expected))
