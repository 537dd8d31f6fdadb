"""What every ensemble in the registry keeps to, whoever wrote it."""

import inspect

import pytest
import torch
from torch import nn

from kdsearch.registry import KINDS, Part, parts
from tests.distill.ensembles.cases import CLASSES, combine, given, weights_of

ENSEMBLES = parts("ensemble")

every_ensemble = pytest.mark.parametrize("part", ENSEMBLES.values(), ids=ENSEMBLES)


@every_ensemble
def test_it_says_what_it_is(part: Part):
    assert part.summary and len(part.summary) < 400
    assert part.facts.get("paper") or part.name == "weighted"
    for option in part.parameters.values():
        assert option.doc and not option.required, option.name


@every_ensemble
def test_it_asks_by_name_for_what_the_engine_supplies(part: Part):
    target = part.load()
    real = inspect.signature(target).parameters.values()
    assert {p.name for p in real if p.kind is p.KEYWORD_ONLY} == set(part.parameters)
    called = target.forward if isinstance(target, type) else target
    assert set(inspect.signature(called).parameters) - set(part.parameters) - {"self"} == set(part.needs)
    assert set(part.needs) <= KINDS["ensemble"].supplied


@every_ensemble
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("teachers", [1, 2, 3, 8])
@pytest.mark.parametrize("batch", [1, 6])
def test_weights_are_shares_of_one(part: Part, teachers: int, batch: int, dtype: torch.dtype):
    torch.manual_seed(0)
    inputs = given(teachers, batch, dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        _, result = combine(part, inputs)
    weights = weights_of(result)
    merged = result[0] if isinstance(result, tuple) else inputs["logits"]
    assert merged.shape[1:] == (batch, CLASSES) and merged.isfinite().all()
    assert len(weights) == len(merged) and weights.shape[1:] in {(1,), (batch,)}
    assert (weights >= 0).all() and torch.equal(inputs["logits"], given(teachers, batch, dtype)["logits"])
    tolerance = 1e-2 if weights.dtype is torch.bfloat16 else 1e-6
    torch.testing.assert_close(
        weights.sum(0), torch.ones_like(weights[0]), atol=tolerance, rtol=0, check_dtype=False
    )
    if teachers == 1:
        assert torch.equal(weights, torch.ones_like(weights))


@every_ensemble
def test_equal_teachers_that_know_nothing_or_everything_give_finite_weights(part: Part):
    inputs = given(3)
    for logits in (torch.zeros(3, 6, CLASSES), 1e4 * torch.eye(CLASSES)[inputs["labels"]].expand(3, -1, -1)):
        for student in (logits[0], torch.zeros(6, CLASSES)):
            _, result = combine(part, inputs | {"logits": logits, "student_logits": student})
            weights = weights_of(result)
            assert weights.isfinite().all()
            if part.name != "random":
                torch.testing.assert_close(weights, torch.full_like(weights, 1 / len(weights)))


@every_ensemble
def test_only_its_own_parameters_learn(part: Part):
    inputs = given(3, dtype=torch.float32)
    call, result = combine(part, inputs)
    weights = weights_of(result)
    own = list(call.parameters()) if isinstance(call, nn.Module) else []
    assert weights.requires_grad == bool(own)
    if own:
        (weights * torch.randn(weights.shape)).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in own)
    assert all(value.grad is None for value in inputs.values() if isinstance(value, torch.Tensor))
