"""How losses are weighed, filtered and scheduled, and teachers told apart, against float64 NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kdsearch.data import Batch
from kdsearch.distill.layers import find_layers
from kdsearch.distill.objective import Combination, Objective
from kdsearch.distill.outputs import NOTHING, TeacherOutputs
from kdsearch.distill.terms import Sides, make_terms
from kdsearch.distill.varying import value_at, weight_at
from kdsearch.spec import load_spec

TEACHERS = ("a", "b", "c")
IMAGES, CLASSES, WIDTH = 12, 5, 6
SHAPE = (3, 4, 4)
#: Of the teachers, by their places.
SUBSETS = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]


class Student(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images).mean((2, 3)))


def objective(
    losses: dict[str, Any],
    members: tuple[str, ...] = TEACHERS,
    combine: str = "mean",
    dropout: float = 0.0,
) -> Objective:
    torch.manual_seed(0)
    content = {
        "data": "digits",
        "teachers": {name: {"model": "mlp"} for name in TEACHERS},
        "student": "mlp",
        "distill": {"teachers": {"members": list(members), "combine": combine}, "losses": losses},
    }
    spec = load_spec(content)
    student = Student()
    layers = find_layers(student, SHAPE)
    sides = Sides(layers, dict.fromkeys(TEACHERS, layers), members, IMAGES, CLASSES)
    terms = make_terms(spec.distill.losses, sides)
    combination = Combination(spec.distill.teachers.combine, members, CLASSES, dropout)
    return Objective(student, terms, members, combination)


def batch() -> Batch:
    draw = torch.Generator().manual_seed(1)
    labels = torch.randint(CLASSES, (IMAGES,), generator=draw)
    return Batch(torch.randn(IMAGES, *SHAPE, generator=draw), labels, torch.arange(IMAGES))


def shown(members: int = 3) -> TeacherOutputs:
    draw = torch.Generator().manual_seed(2)
    features = {(name, "body"): torch.randn(IMAGES, WIDTH, 4, 4, generator=draw) for name in TEACHERS}
    return TeacherOutputs(3 * torch.randn(members, IMAGES, CLASSES, generator=draw), features)


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def divergence(student: Any, teacher: Any, temperature: float) -> Any:
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    return temperature**2 * (p * (np.log(p) - np.log(q))).sum(-1)


def outputs(made: Objective) -> tuple[Any, Any]:
    with torch.no_grad():
        student = made.student(batch().images).double().numpy()
    made.taps.take()
    return student, shown().logits.double().numpy()


def test_soft_targets_of_a_high_temperature_are_told_apart_under_autocast():
    made = objective({"kd": {"temperature": 20.0}}, members=("a",))
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            student = made.student(batch().images).double().numpy()
        _, told = made(batch(), shown(members=1))
    teacher = shown(members=1).logits[0].double().numpy()
    assert told[0].item() == pytest.approx(divergence(student, teacher, 20.0).mean(), rel=1e-4)


def test_a_filter_lets_only_images_pass_that_each_teacher_knows():
    for only in ({"correct": True}, {"confidence": 0.8}, {"correct": True, "confidence": 0.6}):
        made = objective({"kd": {"temperature": 2.0, "only": only}})
        student, teachers = outputs(made)
        total, _ = made(batch(), shown())
        expected = 0.0
        for logits in teachers:
            passed = softmax(logits).max(1) >= only.get("confidence", 0)
            if only.get("correct"):
                passed &= logits.argmax(1) == batch().labels.numpy()
            assert 0 < passed.sum() < IMAGES
            expected += (divergence(student, logits, 2.0) * passed).mean() / 3
        assert total.item() == pytest.approx(expected, rel=1e-5)


def test_a_filtered_loss_between_images_sees_only_those_that_pass():
    options = {"temperature": 1.0, "beta": 0.0, "gamma": 1.0}
    made = objective({"dist": {**options, "only": {"confidence": 0.7}}}, ("a",))
    student, teachers = outputs(made)
    passed = softmax(teachers[0]).max(1) >= 0.7
    assert 2 < passed.sum() < IMAGES
    p, q = softmax(student)[passed].T, softmax(teachers[0])[passed].T
    expected = (1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p, q, strict=True)])) * passed.mean()
    total, _ = made(batch(), TeacherOutputs(shown().logits[:1], {}))
    assert total.item() == pytest.approx(expected, rel=1e-5)


def test_each_teacher_has_its_temperature():
    temperatures = {"a": 1.0, "b": 4.0, "c": 9.0}
    made = objective({"kd": {"temperature": {"per_teacher": temperatures}}})
    student, teachers = outputs(made)
    total, _ = made(batch(), shown())
    pairs = zip(teachers, temperatures.values(), strict=True)
    assert total.item() == pytest.approx(np.mean([divergence(student, z, t) for z, t in pairs]), rel=1e-5)


def test_merged_teachers_have_the_mean_temperature():
    made = objective(
        {"kd": {"temperature": {"per_teacher": {"a": 1, "b": 4, "c": 10}}}}, combine="mean_logits"
    )
    student, teachers = outputs(made)
    total, _ = made(batch(), shown())
    assert total.item() == pytest.approx(divergence(student, teachers.mean(0), 5.0).mean(), rel=1e-5)


def test_gradients_of_teachers_with_their_own_temperatures_are_combined():
    made = objective({"kd": {"temperature": {"per_teacher": {"a": 1, "b": 4, "c": 10}}}}, combine="gradient")
    assert torch.isfinite(made(batch(), shown())[0])


def test_hints_are_weighed_like_their_teachers():
    pairs = [["body", "body"]]
    match = [{"teacher": name, "pairs": pairs} for name in ("a", "c")]
    made = objective({"hint": {"match": match}}, combine="confidence")
    _, teachers = outputs(made)
    total, _ = made(batch(), shown())
    labels = batch().labels.numpy()
    cost = -np.log(softmax(teachers))[:, np.arange(IMAGES), labels]
    weights = (1 - softmax(cost.T).T) / 2
    body = made.student.body(batch().images).detach()
    expected = 0.0
    for loss, name, k in zip(made.losses, ("a", "c"), (0, 2), strict=True):
        project = loss.regressor.project
        kernel, bias = project.weight.detach().double().numpy()[:, :, 0, 0], project.bias.detach().numpy()
        said = np.einsum("oc,bchw->bohw", kernel, body.double().numpy()) + bias[:, None, None]
        squares = (said - shown().features[name, "body"].double().numpy()) ** 2
        expected += (weights[k] * squares.mean((1, 2, 3))).mean()
    assert total.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        (0.7, 0.3, 0.7),
        ({"linear": [1.0, 0.2], "until": 1.0}, 0.25, 0.8),
        ({"cosine": [1.0, 0.0], "until": 1.0}, 0.5, 0.5),
        ({"cosine": [1.0, 0.0], "until": 1.0}, 0.25, (1 + np.cos(np.pi / 4)) / 2),
        ({"linear": [1.0, 0.2], "until": 0.5}, 0.25, 0.6),
        ({"constant": 0.9, "until": 0.5}, 0.49, 0.9),
    ],
)
def test_a_schedule_goes_from_end_to_end(schedule: Any, progress: float, expected: float):
    assert value_at(schedule, progress) == pytest.approx(expected)
    assert weight_at(schedule, progress) == pytest.approx(expected)


def test_a_loss_acts_until_its_end_and_a_temperature_stays_at_its_last_value():
    schedule = {"linear": [4.0, 1.0], "until": 0.5}
    assert (weight_at(schedule, 0.5), weight_at(schedule, 0.9)) == (0, 0)
    assert (value_at(schedule, 0.5), value_at(schedule, 0.9)) == (1.0, 1.0)


def test_teachers_are_not_asked_once_no_loss_listens():
    losses = {"ce": {}, "kd": {"weight": {"constant": 0.9, "until": 0.5}}}
    made = objective(losses)
    assert made.advance(0.49)
    first, (total, ce, kd) = made(batch(), shown())
    assert first.item() == total.item() == pytest.approx((ce + 0.9 * kd).item())
    assert not made.advance(0.5)
    second, (_, ce, kd) = made(batch(), NOTHING)
    assert second.item() == pytest.approx(ce.item())
    assert kd == 0


def test_weight_and_temperature_follow_their_schedules():
    made = objective({"kd": {"weight": {"linear": [1, 0]}, "temperature": {"cosine": [8, 2]}}}, ("a",))
    student, teachers = outputs(made)
    for progress in (0.0, 0.3, 0.8):
        made.advance(progress)
        total, _ = made(batch(), TeacherOutputs(shown().logits[:1], {}))
        temperature = 2 + 6 * (1 + np.cos(np.pi * progress)) / 2
        expected = (1 - progress) * divergence(student, teachers[0], temperature).mean()
        assert total.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("combine", "dropout"), [("random", 0.0), ("mean", 0.5), ("mean_logits", 0.5)])
def test_all_losses_of_a_batch_hear_the_same_teachers(combine: str, dropout: float):
    match = [{"teacher": name, "pairs": [["body", "body"]]} for name in TEACHERS]
    losses = {"kd": {"temperature": 4.0}, "logits_mse": {}, "hint": {"match": match}}
    made = objective(losses, combine=combine, dropout=dropout)
    student, teachers = outputs(made)
    body = made.student.body(batch().images).detach()
    hints = []
    for loss, name in zip(made.losses, TEACHERS, strict=True):
        value = loss(student_feature=body, teacher_feature=shown().features[name, "body"])
        hints.append(value.mean().item())
    seen = set()
    for _ in range(60):
        _, (_, kd, mse, hint) = made(batch(), shown())
        fitting = []
        for subset in SUBSETS:
            heard = [teachers[k] for k in subset]
            heard = [np.mean(heard, 0)] if combine == "mean_logits" else heard
            expected = (
                np.mean([divergence(student, z, 4.0) for z in heard]),
                np.mean([((student - z) ** 2).sum(1) / 2 for z in heard]),
                np.mean([hints[k] for k in subset]),
            )
            if (kd.item(), mse.item(), hint.item()) == pytest.approx(expected, rel=1e-4):
                fitting.append(subset)
        assert len(fitting) == 1
        seen |= {*fitting}
    assert seen == ({s for s in SUBSETS if len(s) == 1} if combine == "random" else set(SUBSETS))
