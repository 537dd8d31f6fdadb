"""A config in words, and the dimensions of a space in words."""

from __future__ import annotations

from collections.abc import Callable

from kdsearch.space import RandomTrial, canonical, describe, describe_model, dimensions, sample
from kdsearch.spec import Spec

Make = Callable[..., Spec]


def test_a_recipe_names_student_teachers_and_losses(space: Make):
    hint = {"weight": 10, "match": {"teacher": "c", "pairs": [[0, "net.1"]]}}
    losses = {"ce": {"weight": 0.123456}, "kd": {"temperature": 4}, "hint": hint}
    student = {"name": "mlp", "hidden": [16, 8]}
    config = canonical(sample(space(("b", "a"), losses, student=student), RandomTrial(0)))
    assert describe(config) == (
        "mlp(hidden=16-8) ← a+b (mean) · 0.123 ce + 1 kd (T 4) + 10 hint (c: 0→net.1)"
    )


def test_a_student_that_learns_alone(space: Make):
    config = canonical(sample(space((), {"ce": {}}, student={"name": "mlp", "hidden": [8]}), RandomTrial(0)))
    assert describe(config) == "mlp(hidden=8) · 1 ce"
    assert describe_model({"name": "timm:x"}) == "timm:x"


def test_a_dimension_says_when_it_applies(space: Make):
    kd = {"weight": {"float": [0, 1]}, "temperature": {"float": [1, 20], "log": True}}
    spec = space({"subset": "all"}, {"ce": {}, "kd": kd}, {"choice": ["mean", "weighted"]})
    found = {each.name: (each.kind, each.range, each.when) for each in dimensions(spec)}
    assert found == {
        **{f"distill.teachers.members.{name}": ("subset", "in or out", "") for name in "abc"},
        "distill.losses.kd.weight": ("float", "0 … 1", "a teacher is used"),
        "distill.losses.kd.temperature": (
            "float",
            "1 … 20, log",
            "a teacher is used and distill.losses.kd.weight > 0",
        ),
        "distill.teachers.combine": ("choice", "mean | weighted", "several teachers"),
    }
