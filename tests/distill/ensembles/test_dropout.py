import numpy as np
import torch

from kdsearch.distill.ensembles.dropout import drop, staying

WEIGHTS = torch.tensor([[0.5, 0.0], [0.3, 1.0], [0.2, 0.0]], dtype=torch.float64)


def test_those_kept_are_renormalised_and_where_none_is_left_all_stay():
    torch.manual_seed(0)
    seen = set()
    for _ in range(200):
        state = torch.get_rng_state()
        kept = torch.rand(3).numpy() >= 0.5
        torch.set_rng_state(state)
        expected = WEIGHTS.numpy().copy()
        for image in range(2):
            if (left := sum(expected[kept, image])) > 0:
                expected[:, image] = np.where(kept, expected[:, image] / left, 0)
        np.testing.assert_allclose(drop(WEIGHTS, staying(3, 0.5)), expected, rtol=1e-12)
        seen.add(tuple(kept))
    assert len(seen) == 8


def test_each_teacher_is_dropped_as_often_as_the_rate_says():
    torch.manual_seed(0)
    dropped = (
        torch.stack([drop(torch.full((4, 1), 0.25), staying(4, 0.3)) == 0 for _ in range(4000)])
        .double()
        .mean(0)
    )
    assert (dropped - (0.3 - 0.3**4)).abs().max() < 0.03


def test_a_rate_of_zero_changes_nothing_and_a_lone_teacher_is_never_dropped():
    assert torch.equal(drop(WEIGHTS, staying(3, 0.0)), WEIGHTS)
    assert torch.equal(drop(torch.ones(1, 5), staying(1, 0.9)), torch.ones(1, 5))


def test_gradients_pass_to_learned_weights():
    torch.manual_seed(1)
    weights = WEIGHTS.clone().requires_grad_()
    (drop(weights, staying(3, 0.5)) * torch.arange(6.0).view(3, 2)).sum().backward()
    assert weights.grad.isfinite().all() and weights.grad.any()
