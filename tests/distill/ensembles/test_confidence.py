import numpy as np
import torch

from kdsearch.distill.ensembles.confidence import confidence
from tests.distill.ensembles.cases import given
from tests.distill.losses.cases import softmax


def test_the_paper_s_formula():
    inputs = given(3)
    weights = confidence(inputs["logits"], inputs["labels"])
    assert weights.shape == (3, 6)
    for image, label in enumerate(inputs["labels"]):
        errors = [-np.log(softmax(teacher[image].numpy())[label]) for teacher in inputs["logits"]]
        np.testing.assert_allclose(weights[:, image], (1 - softmax(np.array(errors))) / 2, rtol=1e-12)


def test_of_many_the_one_that_is_wrong_is_left_out():
    logits = torch.zeros(3, 1, 4)
    logits[0, 0, 1] = 50
    weights = confidence(logits, torch.tensor([0]))
    torch.testing.assert_close(weights, torch.tensor([[0], [0.5], [0.5]]))
