import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.nn import functional as F

from kdsearch.distill.ensembles._least_norm import least_norm
from kdsearch.distill.ensembles.gradient import gradient
from tests.distill.ensembles.cases import given
from tests.distill.losses.cases import softmax


def by_trying_all(gram, limit):
    """The minimum over every choice of which weights are 0, which at the limit, and which between."""
    best = np.full(len(gram), 1 / len(gram))
    for choice in itertools.product((0.0, limit, np.nan), repeat=len(gram)):
        free = np.isnan(choice)
        found, size = np.where(free, 0, choice), free.sum()
        if size:  # the Lagrange conditions on those between
            system = np.block([[gram[np.ix_(free, free)], np.ones((size, 1))], [np.ones((1, size)), 0]])
            target = np.append(-gram[free] @ found, 1 - found.sum())
            found[free] = np.linalg.lstsq(system, target, rcond=None)[0][:size]
        inside = found.min() > -1e-12 and found.max() < limit + 1e-12 and abs(found.sum() - 1) < 1e-9
        if inside and found @ gram @ found < best @ gram @ best:
            best = found
    return best


@pytest.mark.parametrize("limit", [0.1, 1 / 3, 0.334, 0.4, 0.6, 1.0])
@pytest.mark.parametrize("unit", [False, True])
def test_the_weights_minimise_the_norm_of_the_mixed_gradient(limit, unit):
    inputs = given(3)
    student, logits = inputs["student_logits"].numpy(), inputs["logits"].numpy()
    gradients = np.array(
        [
            np.mean([softmax(s / 3) - softmax(t / 3) for s, t in zip(student, teacher, strict=True)], 0)
            for teacher in logits
        ]
    )
    lengths = np.linalg.norm(gradients, axis=1) if unit else np.ones(3)
    units = gradients / lengths[:, None]
    found = minimize(
        lambda w: 50 * (w @ units) @ (w @ units),
        np.full(3, 1 / 3),
        bounds=[(0, max(limit, 1 / 3))] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 500},
    ).x
    expected = found / lengths / sum(found / lengths)
    weights = gradient(inputs["logits"], inputs["student_logits"], 3.0, limit=limit, unit=unit)
    np.testing.assert_allclose(weights[:, 0], expected, atol=1e-6)


def test_the_gradients_are_those_of_the_loss():
    """So that the mixture of losses really has the least gradient: no other mixture's is shorter."""
    inputs = given(4)
    student = inputs["student_logits"].requires_grad_()
    weights = gradient(inputs["logits"], student.detach(), 3.0, limit=1.0)[:, 0]

    def norm(mixture):
        losses = [
            9 * F.kl_div((student / 3).log_softmax(1), (t / 3).softmax(1), reduction="batchmean")
            for t in inputs["logits"]
        ]
        (found,) = torch.autograd.grad(mixture @ torch.stack(losses), student)
        return found.sum(0).norm()

    others = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(4), 50))
    assert all(norm(weights) <= norm(other) + 1e-9 for other in others)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("teachers", [2, 4, 5])
def test_the_least_norm_is_exact_for_vectors_of_all_lengths_few_and_many_dimensions(teachers, seed):
    random = np.random.default_rng([teachers, seed])
    lengths = np.exp(random.normal(size=(teachers, 1)) * random.choice([0, 1, 3]))
    vectors = random.normal(size=(teachers, random.integers(1, 12))) * lengths
    gram = vectors @ vectors.T
    for limit in (1 / teachers + 1e-6, 0.55, 1.0):
        found, best = least_norm(torch.from_numpy(gram), limit).numpy(), by_trying_all(gram, limit)
        assert found.min() >= 0 and found.max() <= limit + 1e-9
        scale = gram.diagonal().mean()
        assert abs(found @ gram @ found - best @ gram @ best) < 1e-10 * scale
        if np.linalg.cond(gram) < 1e4:  # else the minimum is flat, and its place less exact than its value
            np.testing.assert_allclose(found, best, atol=1e-6)


def test_equal_vectors_share_alike():
    vectors = torch.tensor([[1.0, 2], [1, 2], [-3, 1]], dtype=torch.float64)
    found = least_norm(vectors @ vectors.mT, 1.0)
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(least_norm(torch.zeros(4, 4), 0.7), torch.full((4,), 0.25).double())
