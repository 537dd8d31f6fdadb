import torch

from kdsearch.distill.ensembles.random import random


def test_one_teacher_has_all_the_weight():
    weights = random(torch.zeros(4, 2, 3))
    assert weights.shape == (4, 1) and sorted(weights[:, 0].tolist()) == [0, 0, 0, 1]


def test_torch_s_seed_determines_the_draws_and_each_teacher_has_its_turn():
    def draws():
        torch.manual_seed(0)
        return torch.stack([random(torch.zeros(4, 2, 3)) for _ in range(2000)])

    first = draws()
    assert torch.equal(first, draws())
    assert (first.mean(0) - 0.25).abs().max() < 0.04
