import numpy as np
import pytest
import torch

from kdsearch.distill.losses.semckd import semckd
from tests.distill.losses.naive import array, conv, draw, linear, norm, pool, relu, tensor, unit

STUDENTS = [draw(5, 3, 8, 8), draw(5, 4)]
TEACHERS = [draw(5, 6, 10, 10), draw(5, 2, 4, 4), draw(5, 5)]


def as_map(x):
    return x if x.ndim == 4 else x[:, :, None, None]


def embedded(networks, features, references):
    """A list over layers of a unit vector for each image."""
    vectors = []
    for (first, _, second), x in zip(networks, features, strict=True):
        rows = np.zeros((5, references))
        for i in range(5):
            for j in range(min(5, references)):
                rows[i, j] = (x[i] * x[j]).sum()
        vectors.append(unit(linear(relu(linear(rows, first)), second)))
    return vectors


@pytest.mark.parametrize("references", [4, 5, 8])
@pytest.mark.parametrize("layers", ["sum", "mean"])
def test_it_is_the_attention_weighted_error_of_every_pair_of_layers(references, layers):
    torch.manual_seed(0)
    shapes = [x.shape[1:] for x in STUDENTS], [x.shape[1:] for x in TEACHERS]
    loss = semckd(*shapes, references=references, layers=layers).double()
    queries = embedded(loss.queries, STUDENTS, references)
    keys = embedded(loss.keys, TEACHERS, references)
    expected = np.zeros(5)
    for q, student, projections in zip(queries, STUDENTS, loss.projections, strict=True):
        affinity = np.exp([[q[i] @ k[i] for i in range(5)] for k in keys])
        for weight, teacher, layer in zip(affinity / affinity.sum(0), TEACHERS, projections, strict=True):
            size = min(as_map(student).shape[2], as_map(teacher).shape[2])
            x, target = pool(as_map(student), size, size), pool(as_map(teacher), size, size)
            x = relu(norm(conv(x, layer[0]), layer[1]))
            x = conv(relu(norm(conv(x, layer[3]), layer[4])), layer[6])
            expected += weight * ((x - target) ** 2).mean((1, 2, 3))
    found = loss([tensor(x) for x in STUDENTS], [tensor(x) for x in TEACHERS])
    np.testing.assert_allclose(array(found), expected / (2 if layers == "mean" else 1), rtol=1e-10)


def test_the_attention_over_the_teachers_layers_adds_up_to_one():
    loss = semckd([x.shape[1:] for x in STUDENTS], [x.shape[1:] for x in TEACHERS]).double()
    weights = loss.weights([tensor(x) for x in STUDENTS], [tensor(x) for x in TEACHERS])
    assert weights.shape == (5, 2, 3)
    torch.testing.assert_close(weights.sum(2), torch.ones(5, 2).double())
