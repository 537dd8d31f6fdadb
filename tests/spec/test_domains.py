"""Domains: each kind where it may stand, and each way to get it wrong."""

from __future__ import annotations

from typing import Any

import pytest

from kdsearch.errors import SpecError
from kdsearch.spec import (
    Choice,
    Float,
    Int,
    Matching,
    Simplex,
    Spec,
    Subset,
    dump_yaml,
    has_domain,
    load_spec,
    plain,
)

TEACHERS = {"conv": {"model": "convnet"}, "mlp": {"model": "mlp"}}


def spec_with(key: str, value: Any) -> Spec:
    """A spec on digits with two teachers, a loss of each sort, and one key set."""
    losses = {"ce": {}, "kd": {}, "hint": {"match": {"teacher": "conv", "pairs": [[0, 1]]}}}
    tree = {
        "data": {"source": "digits"},
        "teachers": TEACHERS,
        "student": {"name": "convnet"},
        "distill": {"teachers": {"members": ["conv", "mlp"]}, "losses": losses},
        "optim": {"name": "sgd"},
    }
    return load_spec(tree, [f"{key}={dump_yaml(value)}"])


def at(spec: Spec, key: str) -> Any:
    found: Any = spec.tree()
    for part in key.split("."):
        found = found[part]
    return found


@pytest.mark.parametrize(
    ("key", "value", "domain"),
    [
        ("optim.lr", {"float": [0.1, 1]}, Float(0.1, 1.0)),
        ("optim.lr", {"float": [0.1, 1], "log": True}, Float(0.1, 1.0, log=True)),
        ("optim.lr", {"float": [0.1, 1], "step": 0.1}, Float(0.1, 1.0, step=0.1)),
        ("optim.epochs", {"int": [1, 9]}, Int(1, 9)),
        ("optim.epochs", {"int": [1, 9], "log": True}, Int(1, 9, log=True)),
        ("optim.epochs", {"int": [1, 9], "step": 4}, Int(1, 9, step=4)),
        ("optim.lr", {"int": [1, 9]}, Int(1, 9)),
        ("optim.lr", {"choice": [1, 2.5]}, Choice((1.0, 2.5))),
        ("optim.precision", {"choice": ["fp32", "bf16"]}, Choice(("fp32", "bf16"))),
        ("distill.teachers.members", {"subset": "all"}, Subset(None)),
        ("distill.teachers.members", {"subset": ["mlp"], "min": 1}, Subset(("mlp",), 1)),
        ("distill.teachers.members", {"subset": "all", "max": 1}, Subset(None, 0, 1)),
        ("distill.teachers.members", {"choice": [["conv"], []]}, Choice((["conv"], []))),
        ("distill.losses.hint.match", {"matching": {"max_pairs": 3}}, Matching(3)),
        ("distill.losses.hint.match", {"matching": {"min_pairs": 2, "max_pairs": 2}}, Matching(2, 2)),
    ],
)
def test_a_domain_stands_where_a_value_would(key, value, domain):
    spec = spec_with(key, value)
    assert at(spec, key) == domain
    assert has_domain(spec.tree())
    assert load_spec(spec.plain()) == spec
    assert plain(domain) == plain(at(load_spec(spec.plain()), key))


@pytest.mark.parametrize("items", ["all", ["conv", "mlp"]])
def test_a_simplex_stands_where_a_mapping_of_weights_would(items):
    spec = spec_with("distill.teachers.combine", {"name": "weighted", "weights": {"simplex": items}})
    assert at(spec, "distill.teachers.combine.weights") == Simplex(None if items == "all" else tuple(items))
    assert load_spec(spec.plain()) == spec


LR, EPOCHS, MEMBERS, MATCH = (
    "optim.lr",
    "optim.epochs",
    "distill.teachers.members",
    "distill.losses.hint.match",
)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (LR, {"float": [1, 0.1]}, "optim.lr.float: the range [1, 0.1] is empty: low must be below high"),
        (LR, {"float": [1, 1]}, "optim.lr.float: the range [1, 1] is empty"),
        (LR, {"float": [0.1]}, "optim.lr.float: expected two numbers [low, high], got [0.1]"),
        (LR, {"float": ["a", 1]}, "optim.lr.float: expected two numbers [low, high], got ['a', 1]"),
        (LR, {"float": [True, 2]}, "optim.lr.float: expected two numbers"),
        (LR, {"float": None}, "optim.lr.float: expected two numbers [low, high], got nothing"),
        (LR, {"float": [0, 1], "log": True}, "optim.lr.float: a log range must lie above 0, got [0, 1]"),
        (LR, {"float": [-1, 1]}, "optim.lr.float.0: expected a number greater than 0, got -1"),
        (LR, {"float": [1, float("inf")]}, "optim.lr.float.1: expected a finite number, got inf"),
        (LR, {"float": [1, 2], "log": "yes"}, "optim.lr.log: expected true or false, got 'yes'"),
        (LR, {"float": [1, 2], "lgo": True}, "optim.lr.lgo: unknown key 'lgo'; did you mean 'log'?"),
        (LR, {"float": [1, 2], 3: True}, "optim.lr.3: unknown key '3'"),
        (LR, {"float": [1, 2], "step": 0}, "optim.lr.step: step must be positive, in numbers, got 0"),
        (LR, {"float": [1, 2], "step": 1, "log": True}, "optim.lr.step: step cannot be combined with log"),
        (LR, {"choice": []}, "optim.lr.choice: expected a list of options, got []"),
        (LR, {"choice": [0.1, -1]}, "optim.lr.choice.1: expected a number greater than 0, got -1"),
        (LR, {"choice": [0.1, "x"]}, "optim.lr.choice.1: expected a number, got 'x'"),
        (
            LR,
            {"subset": "all"},
            "optim.lr: a 'subset' domain is not allowed here; expected one of: float, int",
        ),
        (LR, {"simplex": "all"}, "optim.lr: a 'simplex' domain is not allowed here: it draws a mapping"),
        (LR, {"simplex": [[1]]}, "optim.lr.simplex: expected 'all' or a list of names, got [[1]]"),
        (EPOCHS, {"int": [1.5, 3]}, "optim.epochs.int: expected two integers [low, high], got [1.5, 3]"),
        (EPOCHS, {"int": [0, 3]}, "optim.epochs.int.0: expected a number greater than 0, got 0"),
        (EPOCHS, {"int": [1, 3], "step": 0.5}, "optim.epochs.step: step must be positive, in integers"),
        (EPOCHS, {"float": [1, 3.5]}, "optim.epochs.float.1: expected an integer, got 3.5"),
        (MEMBERS, {"subset": ["cnv"]}, "members.subset: unknown teacher 'cnv'; did you mean 'conv'?"),
        (MEMBERS, {"subset": "some"}, "members.subset: expected 'all' or a list of names, got 'some'"),
        (MEMBERS, {"subset": [1]}, "members.subset.0: expected text, got 1"),
        (MEMBERS, {"subset": "all", "min": -1}, "members.min: expected an integer of at least 0, got -1"),
        (MEMBERS, {"subset": "all", "min": None}, "members.min: expected an integer of at least 0, got noth"),
        (MEMBERS, {"subset": "all", "min": 3}, "members.subset: no subset of 2 teachers has at least 3"),
        (MEMBERS, {"subset": "all", "min": 2, "max": 1}, "members.min: no subset has at least 2 members"),
        (MEMBERS, {"choice": [["conv"], ["mpl"]]}, "members: unknown teacher 'mpl'; did you mean 'mlp'?"),
        (MATCH, {"matching": 2}, "match.matching: expected a mapping such as {max_pairs: 2}, got 2"),
        (
            MATCH,
            {"matching": {"max_pair": 2}},
            "matching.max_pair: unknown key 'max_pair'; did you mean 'max_pairs'?",
        ),
        (MATCH, {"matching": {"max_pairs": 0}}, "match.matching: expected max_pairs from 1 to 64, got 0"),
        (MATCH, {"matching": {"max_pairs": 10**9}}, "match.matching: expected max_pairs from 1 to 64"),
        (MATCH, {"matching": {"max_pairs": 1, "min_pairs": 2}}, "expected max_pairs from 2 to 64, got 1"),
        (MATCH, {"matching": {"max_pairs": True}}, "max_pairs: expected an integer of at least 0, got true"),
        ("student.width", {"float": [1, 2.5]}, "student.width.float.1: expected an integer, got 2.5"),
        ("data.batch_size", {"int": [1, 2]}, "data.batch_size: expected an integer, got {'int': [1, 2]}: no"),
        ("teachers.conv.model.width", {"int": [1, 2]}, "teachers.conv.model.width: nothing is searched here"),
        ("search.trials", {"int": [1, 2]}, "search.trials: expected an integer, got {'int': [1, 2]}: no dom"),
    ],
)
def test_a_wrong_domain_is_refused_at_its_key(key, value, message):
    with pytest.raises(SpecError) as refusal:
        spec_with(key, value)
    assert message in str(refusal.value)


def test_choices_nest():
    inner = {"choice": [{"float": [0.1, 0.2]}, {"choice": [1, {"int": [2, 3]}]}]}
    spec = spec_with(LR, inner)
    assert at(spec, LR) == Choice((Float(0.1, 0.2), Choice((1.0, Int(2, 3)))))
    assert load_spec(spec.plain()) == spec
    with pytest.raises(SpecError, match=r"optim\.lr\.choice\.1\.choice\.0: expected a number greater than 0"):
        spec_with(LR, {"choice": [1, {"choice": [0]}]})


def test_options_that_look_alike_have_labels_of_their_own():
    spec = spec_with("student", {"choice": [{"name": "mlp"}, "convnet", {"name": "mlp", "hidden": [8]}]})
    assert at(spec, "student").labels == ("mlp#1", "convnet", "mlp#3")
