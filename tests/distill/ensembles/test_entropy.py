import numpy as np
import torch

from kdsearch.distill.ensembles.entropy import entropy
from tests.distill.ensembles.cases import given
from tests.distill.losses.cases import softmax


def test_the_formula():
    logits = given(3)["logits"]
    weights = entropy(logits)
    assert weights.shape == (3, 6)
    for image in range(6):
        rows = [softmax(teacher[image].numpy()) for teacher in logits]
        entropies = np.array([-sum(p * np.log(p) for p in row) for row in rows])
        np.testing.assert_allclose(weights[:, image], (1 - entropies / sum(entropies)) / 2, rtol=1e-9)


def test_a_class_ruled_out_has_no_entropy():
    logits = torch.tensor([[[0, 0, -torch.inf]], [[0, 0, 0]]])
    bits = np.log([2, 3])
    np.testing.assert_allclose(entropy(logits)[:, 0], 1 - bits / sum(bits), rtol=1e-6)
