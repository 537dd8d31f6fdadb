"""What every loss in the registry keeps to, whoever wrote it."""

import inspect
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from kdsearch.errors import InputError
from kdsearch.registry import KINDS, Part, parts
from tests.distill.losses.cases import STUDENT, TEACHER, make_loss

LOSSES = parts("loss")

#: Zero, with no gradient left, when the student's outputs and features are the teacher's.
ZERO_AT_THE_TEACHER = {
    "simkd",
    "attention",
    "attention_gradient",
    "correlation",
    "dist",
    "dkd",
    "fsp",
    "kd",
    "logit_standardized_kd",
    "logits_mse",
    "nst",
    "pkt",
    "rkd",
    "similarity",
}
#: Why the others are not. Where each of them is least is in its own test file.
ELSEWHERE = {
    "ce": "least at the labels",
    "crd": "told from random negatives; learned embeddings stand between",
    "hint": "a learned regressor stands between",
    "label_smoothing": "zero for equal logits",
    "relative_dissimilarity": "zero where the order voted for is kept by the margin",
    "mutual_information": "told from the rest of the batch; learned embeddings stand between",
    "reviewkd": "learned fusions stand between",
    "semckd": "learned projections stand between",
    "tolerant": "zero when the highest probabilities are equal",
    "vid": "a likelihood under a learned mean and variance",
    "virtual_teacher": "zero at the hand-made teacher",
}
PAIRS = {
    "teacher wider and finer": (STUDENT, TEACHER),
    "student wider and finer": (TEACHER, STUDENT),
    "oblong maps": (((3, 4, 6), (5, 2, 3)), ((4, 6, 4), (6, 3, 3))),
    "vectors": (((7,), (5,)), ((9,), (6,))),
    "map to vector": (((3, 4, 4), (5, 2, 2)), ((9,), (6,))),
    "vector to map": (((9,), (6,)), ((3, 4, 4), (5, 2, 2))),
    "tokens": (((9, 4), (4, 6)), ((17, 5), (5, 3))),
    "tokens to maps": (((9, 4), (9, 6)), ((5, 6, 6), (3, 3, 3))),
}

every_loss = pytest.mark.parametrize("part", LOSSES.values(), ids=LOSSES)


def leaves(value: Tensor) -> Iterator[Tensor]:
    """The tensors that a value's gradient reaches."""
    waiting, seen = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        waiting += [following for following, _ in node.next_functions]


def test_the_minimum_of_every_loss_is_stated():
    assert ZERO_AT_THE_TEACHER | set(ELSEWHERE) == set(LOSSES)


@every_loss
def test_it_says_what_it_is(part: Part):
    assert part.summary and len(part.summary) < 400
    assert part.facts["family"] in {"labels", "response", "feature", "relation"} and part.facts["paper"]
    for option in part.parameters.values():
        assert option.doc and not option.required, option.name


@every_loss
def test_the_signature_read_from_source_is_the_real_one(part: Part):
    target = part.load()
    real = inspect.signature(target).parameters.values()
    options = {p.name: p.default for p in real if p.name not in KINDS["loss"].supplied}
    assert options == {name: option.default for name, option in part.parameters.items()}
    assert all(p.kind is p.KEYWORD_ONLY for p in real if p.name in options)
    called = target.forward if isinstance(target, type) else target
    supplied = [name for name in inspect.signature(called).parameters if name in KINDS["loss"].supplied]
    assert tuple(supplied) == part.needs


@every_loss
@pytest.mark.parametrize(("student", "teacher"), PAIRS.values(), ids=PAIRS)
def test_it_is_finite_whatever_the_shapes_of_the_features(part: Part, student, teacher):
    if part.facts.get("positions") and 1 in {len(student[0]), len(teacher[0])}:  # a vector on either side
        with pytest.raises(InputError, match=part.name):
            make_loss(part, student=student, teacher=teacher).value()
        return
    value = make_loss(part, student=student, teacher=teacher).value()
    assert value.shape in {(), (6,)} and value.isfinite().all()


@every_loss
def test_gradient_reaches_the_student_and_its_own_parameters_and_nothing_else(part: Part):
    case = make_loss(part)
    given = [teacher.clone() for teacher in case.tensors("teacher")]
    case.value().mean().backward()
    own = dict(case.module.named_parameters())
    reached = case.tensors("student") + [p for p in own.values() if p.requires_grad]
    for tensor in reached:
        assert tensor.grad is not None and tensor.grad.isfinite().all() and tensor.grad.any(), part.name
    assert {id(leaf) for leaf in leaves(case.value())} <= set(map(id, reached))
    for before, after in zip(given, case.tensors("teacher"), strict=True):
        assert after.grad is None and torch.equal(before, after)


@pytest.mark.parametrize("name", sorted(ZERO_AT_THE_TEACHER & set(LOSSES)))
def test_it_is_zero_at_the_teacher(name: str):
    case = make_loss(LOSSES[name], equal=True, dtype=torch.float64)
    case.module.double()
    value = case.value()
    value.mean().backward()
    torch.testing.assert_close(value, torch.zeros_like(value), atol=1e-12, rtol=0)
    for tensor in case.tensors("student"):
        torch.testing.assert_close(tensor.grad, torch.zeros_like(tensor), atol=1e-7, rtol=0)
    assert make_loss(LOSSES[name]).value().mean() > 1e-4


@every_loss
def test_it_is_finite_under_autocast(part: Part):
    case = make_loss(part, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        value = case.value()
    value.mean().backward()
    assert value.isfinite().all()
    assert all(tensor.grad.isfinite().all() for tensor in case.tensors("student"))


@every_loss
def test_a_batch_of_one_image_is_finite_or_refused_with_the_reason(part: Part):
    case = make_loss(part, batch=1)
    try:
        value = case.value()
    except InputError as error:
        assert part.name in str(error)
        return
    value.mean().backward()
    assert value.shape in {(), (1,)} and value.isfinite().all()
    assert all(tensor.grad is None or tensor.grad.isfinite().all() for tensor in case.tensors("student"))


@every_loss
def test_outputs_without_any_spread_give_finite_gradients(part: Part):
    """As from a student whose last layer begins at zero, or whose units have all died."""
    case = make_loss(part)
    for tensor in case.tensors("student"):
        tensor.data.zero_()
    value = case.value()
    value.mean().backward()
    assert value.isfinite().all()
    assert all(tensor.grad.isfinite().all() for tensor in case.tensors("student"))
