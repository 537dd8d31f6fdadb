import numpy as np
import torch

from kdsearch.distill.ensembles.learned import learned
from tests.distill.ensembles.cases import given
from tests.distill.losses.cases import random, softmax

INPUTS = given(3)
MEMBERS, LOGITS = INPUTS["members"], INPUTS["logits"]


def test_the_formula():
    gate = learned(MEMBERS, 5, smoothing=0.2).double()
    gate.theta.data = random(3, 5, seed=2)
    weights = gate(LOGITS).detach()
    for image in range(6):
        scores = [
            t @ softmax(z[image].numpy()) for t, z in zip(gate.theta.detach().numpy(), LOGITS, strict=True)
        ]
        np.testing.assert_allclose(weights[:, image], 0.8 * softmax(np.array(scores)) + 0.2 / 3, rtol=1e-12)


def test_it_starts_as_the_mean():
    gate = learned(MEMBERS, 5).double()
    torch.testing.assert_close(gate(LOGITS), torch.full((3, 6), 1 / 3).double())


def test_it_learns_which_teacher_is_good_at_which_class_and_never_forgets_the_others():
    """Each teacher has a low loss on the class it sees: class 0 for the first, class 1 for the second."""
    logits = 10 * torch.eye(2)[torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1]])]
    losses = torch.tensor([[0.0, 0, 1, 1], [1, 1, 0, 0]])
    gate = learned(("a", "b"), 2, smoothing=0.1)
    optimizer = torch.optim.SGD(gate.parameters(), lr=10.0)
    for _ in range(100):
        optimizer.zero_grad()
        (gate(logits) * losses).sum(0).mean().backward()
        optimizer.step()
    weights = gate(logits).detach()
    torch.testing.assert_close(weights, 0.9 * (1 - losses) + 0.05, atol=0.02, rtol=0)
    assert weights.min() >= 0.05
