import math

import torch

from kdsearch.distill.losses.ce import ce
from kdsearch.distill.losses.label_smoothing import label_smoothing
from tests.distill.losses.cases import divergence, random, softmax


def test_the_divergence_from_the_uniform_distribution():
    logits = 2 * random(4, 7)
    expected = [divergence([1 / 7] * 7, softmax(row)) for row in logits.numpy()]
    torch.testing.assert_close(label_smoothing(logits), torch.tensor(expected, dtype=torch.float64))


def test_with_cross_entropy_it_makes_smoothed_labels():
    logits, labels = random(4, 7), torch.tensor([0, 6, 3, 3])
    both = 0.9 * ce(logits, labels) + 0.1 * label_smoothing(logits)
    torch.testing.assert_close(both, ce(logits, labels, label_smoothing=0.1) - 0.1 * math.log(7))


def test_it_is_zero_for_equal_logits():
    assert label_smoothing(torch.full((2, 7), 3.0)).abs().max() < 1e-6
