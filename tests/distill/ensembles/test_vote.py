import torch

from kdsearch.distill.ensembles.vote import vote
from kdsearch.registry import find


def test_outputs_are_averaged_and_the_rest_is_a_loss():
    torch.testing.assert_close(vote(torch.zeros(4, 2, 3)), torch.full((4, 1), 0.25))
    joined = find("loss", find("ensemble", "vote").facts["joins"])
    assert joined.facts["matching"] == "members"
