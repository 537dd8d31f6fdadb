import torch

from kdsearch.distill.losses.tolerant import tolerant
from tests.distill.losses.cases import random, softmax


def test_the_highest_probability_less_the_mean_of_the_next():
    logits = 2 * random(4, 7)
    expected = []
    for row in logits.numpy():
        f = sorted(softmax(row), reverse=True)
        expected.append(f[0] - (f[1] + f[2] + f[3]) / 3)
    torch.testing.assert_close(tolerant(logits, k=4), torch.tensor(expected, dtype=torch.float64))


def test_it_lies_between_no_preference_and_certainty():
    logits = torch.tensor([[3.0, 3, 3, -50, -50], [99, 0, 0, 0, 0]])
    torch.testing.assert_close(tolerant(logits, k=3), torch.tensor([0.0, 1.0]))


def test_all_classes_count_where_there_are_fewer_than_k():
    logits = random(4, 3)
    torch.testing.assert_close(tolerant(logits, k=5), tolerant(logits, k=3))
