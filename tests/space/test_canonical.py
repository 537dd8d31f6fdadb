"""Equal recipes are equal configs with one uid; different ones are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kdsearch.space import RandomTrial, canonical, config_yaml, fingerprint, sample
from kdsearch.spec import Spec, load_spec, parse_yaml

Make = Callable[..., Spec]


def config_of(spec: Spec) -> dict[str, Any]:
    return canonical(sample(spec, RandomTrial(0)))


def uid(spec: Spec) -> str:
    return fingerprint(config_of(spec))


KD = {"ce": {}, "kd": {}}
MATCH_A, MATCH_B = ({"teacher": name, "pairs": [[0, 1]]} for name in "ab")
SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a loss of weight 0": (
        {"losses": KD},
        {"losses": {**KD, "hint": {"weight": 0, "match": {"matching": {}}}}},
    ),
    "the order of teachers": ({"members": ("a", "b")}, {"members": ("b", "a")}),
    "how one teacher is combined": ({"members": ("a",)}, {"members": ("a",), "combine": "weighted"}),
    "teachers that no loss uses": (
        {"losses": {"ce": {}}, "members": ("a", "b")},
        {"losses": {"ce": {}}, "members": ()},
    ),
    "a matching without pairs": (
        {"losses": KD},
        {"losses": {**KD, "hint": {"match": {"teacher": "a", "pairs": []}}}},
    ),
    "a filter that lets all pass": (
        {"losses": KD},
        {"losses": {"ce": {}, "kd": {"only": {"confidence": 0.0}}}},
    ),
    "a schedule that never changes": (
        {"losses": {"ce": {}, "kd": {"weight": 0.5, "temperature": 3}}},
        {"losses": {"ce": {}, "kd": {"weight": {"linear": [0.5, 0.5]}, "temperature": {"constant": 3}}}},
    ),
    "a stage on losses of weight 0": ({}, {"stages": [{"epochs": 1, "losses": {"kd": {"weight": 0}}}]}),
    "a stage of no length": ({}, {"stages": [{"fraction": 0.0, "losses": {"ce": {}}}]}),
    "the temperature of a teacher that is no member": (
        {"members": ("a",), "losses": {"kd": {"temperature": {"per_teacher": {"a": 2, "b": 3}}}}},
        {"members": ("a",), "losses": {"kd": {"temperature": {"per_teacher": {"a": 2, "b": 9}}}}},
    ),
    "the order of matchings": (
        {"losses": {"ce": {}, "hint": {"match": [MATCH_A, MATCH_B]}}},
        {"losses": {"ce": {}, "hint": {"match": [MATCH_B, MATCH_A]}}},
    ),
    "an integer for a number": ({"optim": {"name": "sgd", "lr": 1}}, {"optim": {"name": "sgd", "lr": 1.0}}),
    "a default written out": ({}, {"student": {"name": "convnet"}, "optim": "sgd"}),
    "how it is searched": ({}, {"search": {"trials": 3, "sampler": "gp"}, "name": "x", "constraints": []}),
    "where it runs": ({}, {"compute": {"storage": "elsewhere"}, "tracking": {"uri": "sqlite:///x.db"}}),
}


@pytest.mark.parametrize("same", SAME.values(), ids=SAME)
def test_what_has_no_effect_does_not_show(space: Make, same: tuple[dict[str, Any], dict[str, Any]]):
    first, second = (space(**each) for each in same)
    assert uid(first) == uid(second)
    assert config_of(first)["distill"] == config_of(second)["distill"]


DIFFERENT: dict[str, dict[str, Any]] = {
    "nothing": {},
    "weight": {"losses": {"ce": {"weight": 0.5}, "kd": {}}},
    "temperature": {"losses": {"ce": {}, "kd": {"temperature": 7}}},
    "losses": {"losses": {"kd": {}}},
    "members": {"members": ("a", "b")},
    "combine": {"combine": "weighted"},
    "weights": {"combine": {"name": "weighted", "weights": {"a": 2.0, "b": 1.0}}},
    "hint": {"losses": {**KD, "hint": {"match": {"teacher": "a", "pairs": [[0, 1]]}}}},
    "hinting teacher": {"losses": {**KD, "hint": {"match": {"teacher": "b", "pairs": [[0, 1]]}}}},
    "pairs": {"losses": {**KD, "hint": {"match": {"teacher": "a", "pairs": [[0, 0.5]]}}}},
    "filter": {"losses": {"ce": {}, "kd": {"only": {"correct": True}}}},
    "schedule of a weight": {"losses": {"ce": {}, "kd": {"weight": {"linear": [1, 0]}}}},
    "end of a weight": {"losses": {"ce": {}, "kd": {"weight": {"constant": 1, "until": 0.5}}}},
    "stage": {"stages": [{"epochs": 1, "losses": {"ce": {}}}]},
    "length of a stage": {"stages": [{"epochs": 2, "losses": {"ce": {}}}]},
    "optimiser of a stage": {"stages": [{"epochs": 1, "losses": {"ce": {}}, "optim": "adamw"}]},
    "student": {"student": "mlp"},
    "width": {"student": {"name": "convnet", "width": 3}},
    "teachers": {"teachers": {name: {"model": "mlp", "epochs": 3} for name in "abc"}},
    "lr": {"optim": {"name": "sgd", "lr": 0.123}},
    "schedule": {"optim": {"name": "sgd", "schedule": "step"}},
    "precision": {"optim": {"name": "sgd", "precision": "bf16"}},
    "batch": {"data": {"source": "digits", "batch_size": 32}},
    "augment": {"data": {"source": "digits", "augment": {"flip": True}}},
    "seed": {"search": {"seed": 1}},
}


def test_what_has_an_effect_gives_another_uid(space: Make):
    uids = {name: uid(space(**given)) for name, given in DIFFERENT.items()}
    assert len(set(uids.values())) == len(uids), uids


def test_teachers_that_are_not_used_are_left_out(space: Make):
    assert list(config_of(space(("b",)))["teachers"]) == ["b"]
    assert list(config_of(space(("b",), {"ce": {}}))["teachers"]) == []
    hint = {"hint": {"match": {"teacher": "c", "pairs": [[0, 1]]}}}
    config = config_of(space(("b",), {"ce": {}, **hint}))
    assert (list(config["teachers"]), config["distill"]["teachers"]["members"]) == (["c"], [])


def test_members_that_only_hint_stay_members_for_they_are_weighed(space: Make):
    hint = {"hint": {"match": [MATCH_A, MATCH_B]}}
    use = config_of(space(("a", "b", "c"), {"ce": {}, **hint}, "confidence"))["distill"]["teachers"]
    assert (use["members"], use["combine"]["name"]) == (["a", "b"], "confidence")


def test_a_config_that_trains_on_nothing_is_seen_as_such(space: Make):
    assert config_of(space(losses={"ce": {"weight": 0}, "kd": {"weight": 0}}))["distill"]["losses"] == {}


def test_the_canonical_form_is_its_own_and_survives_yaml(space: Make):
    hint = {"match": {"teacher": "a", "pairs": [["block1", "block2"], [0.5, 1]]}}
    config = config_of(space(("b", "a"), {**KD, "hint": hint}, "weighted"))
    assert canonical(config) == config
    again = config_of(load_spec(parse_yaml(config_yaml(config))[0]))
    assert again == config
    assert fingerprint(again) == fingerprint(config)


def test_the_uid_does_not_depend_on_the_order_of_keys(space: Make):
    config = config_of(space())
    assert fingerprint(dict(reversed(config.items()))) == fingerprint(config)
    assert len(fingerprint(config)) == 12
