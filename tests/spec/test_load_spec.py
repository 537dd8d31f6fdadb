"""A whole spec: its problems with file, line and key, its overrides, and what is checked across sections."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kdsearch.errors import InputError, SpecError
from kdsearch.space import RandomTrial, canonical, config_yaml, dimensions, sample
from kdsearch.spec import Int, load_spec, parse_yaml, read_yaml

DIGITS = Path(__file__).parents[2] / "search_spaces" / "digits.yaml"
TREE: Any = read_yaml(DIGITS)[0]
SMALL: dict[str, Any] = {"data": "digits", "student": "mlp"}


def refusal(tree: Any, overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(InputError) as raised:
        load_spec(tree, overrides)
    return str(raised.value)


def test_the_shortest_spec_is_a_config_with_defaults():
    spec = load_spec(SMALL)
    assert (spec.name, spec.student.part, list(spec.distill.losses)) == ("search", "mlp", ["ce"])
    assert not dimensions(spec)
    assert load_spec(spec.plain()) == spec


@pytest.mark.parametrize("path", sorted(DIGITS.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_search_space_we_ship_holds_and_is_the_same_after_a_round_trip(path: Path):
    spec = load_spec(path)
    assert load_spec(spec.plain()) == spec
    assert dimensions(spec)


def test_a_config_that_was_drawn_is_a_spec_with_nothing_left_to_search():
    spec = load_spec(DIGITS)
    for seed in range(20):
        config = canonical(sample(spec, RandomTrial(seed)))
        again = load_spec(parse_yaml(config_yaml(config))[0])
        assert not dimensions(again)
        assert canonical(sample(again, RandomTrial(0))) == config


def test_all_problems_are_told_at_once_with_file_line_and_key(tmp_path: Path):
    path = tmp_path / "space.yaml"
    path.write_text(
        "data: {source: digits, batch_size: big}\n"
        "student: {name: mlp, hiden: [8]}\n"
        "optim:\n  name: sgd\n  lr: -1\n"
        "serach: {}\n"
    )
    assert refusal(path).splitlines() == [
        f"{path}:6: serach: unknown key 'serach'; did you mean 'search'?",
    ]
    path.write_text(path.read_text().replace("serach", "search"))
    assert refusal(path).splitlines() == [
        f"{path}:1: data.batch_size: expected an integer, got 'big'",
        f"{path}:2: student.hiden: unknown key 'hiden'; did you mean 'hidden'?",
        f"{path}:5: optim.lr: expected a number greater than 0, got -1",
    ]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("data", None, "data: expected the name of a dataset or a mapping with 'source', got nothing"),
        ("data", {}, "data.source: expected the name of a dataset"),
        ("data", "digit", "data.source: unknown dataset 'digit'; did you mean 'digits'?"),
        ("data", {"source": "digits", "validation": 1}, "data.validation: expected a number less than 1"),
        ("data", {"source": "parquet"}, "data.train: a value is required"),
        ("student", "mpl", "student.name: unknown model 'mpl'; did you mean 'mlp'?"),
        ("student", {"name": "mlp", "hidden": [8, 2.5]}, "student.hidden.1: expected an integer, got 2.5"),
        ("student", {"name": "mlp", "hidden": 8}, "student.hidden: expected a list, got 8"),
        ("student", {"name": "no.such:Net"}, "model 'no.such:Net': there is no module 'no.such'"),
        ("student", {"name": "json:Net"}, "model 'json:Net': 'json' defines no 'Net'"),
        ("distill", {"losses": {}}, "distill.losses: "),
        ("distill", {"losses": {"kd": {}}}, "distill.losses.kd: this loss needs a teacher, and the spec"),
        (
            "distill",
            {"losses": {"kdx": {}}},
            "distill.losses.kdx.name: unknown loss 'kdx'; did you mean 'kd'?",
        ),
        (
            "distill",
            {"losses": {"a": {"name": "ce", "weight": -1}}},
            "losses.a.weight: expected a number gre",
        ),
        ("objectives", {"acuracy": "maximize"}, "unknown objective 'acuracy'; did you mean 'accuracy'?"),
        (
            "objectives",
            {"accuracy": "max"},
            "objectives.accuracy: expected 'maximize' or 'minimize', got 'max'",
        ),
        ("objectives", [], "objectives: expected a mapping, got []"),
        ("constraints", ["size <= 1"], "constraints.0: unknown objective 'size'"),
        ("constraints", "size_mb <= 1", "constraints: expected a list, got 'size_mb <= 1'"),
        ("search", {"sampler": "tpo"}, "search.sampler.name: unknown sampler 'tpo'; did you mean 'tpe'?"),
        ("search", {"trials": True}, "search.trials: expected an integer, got true"),
        ("compute", {"workers": 3}, "data.batch_size: 128 images cannot be split evenly among 3 workers"),
        ("compute", {"gpus_per_worker": float("nan")}, "compute.gpus_per_worker: expected"),
        ("name", "a b", "name: "),
        ("teachers", {"a": {"model": "mlp", "epoch": 3}}, "teachers.a.epoch: unknown key 'epoch'"),
        (
            "teachers",
            {"a": {"model": "mlp", "epochs": 0}},
            "teachers.a.optim.epochs: expected a number greater",
        ),
        *(
            (
                "teachers",
                {"a": {"model": "mlp", "epochs": 3, "optim": optim}},
                "teachers.a.optim: expected the name of an optimizer or a mapping with 'name', got",
            )
            for optim in (None, 3)
        ),
    ],
)
def test_a_wrong_value_is_refused_in_words(key, value, message):
    assert message in refusal({**SMALL, key: value})


def test_teachers_that_are_named_must_be_there():
    tree = {**SMALL, "teachers": {"conv": {"model": "convnet"}}}
    teachers: dict[str, Any] = {"members": ["cnv"]}
    assert "members: unknown teacher 'cnv'; did you mean 'conv'?" in refusal(
        {**tree, "distill": {"teachers": teachers}}
    )
    weighted = {"name": "weighted", "weights": {"cnv": 1.0}}
    for weights in ({"cnv": 1.0}, {"simplex": ["conv", "cnv"]}):
        combine = {"choice": ["mean", {**weighted, "weights": weights}]}
        message = refusal({**tree, "distill": {"teachers": {"members": ["conv"], "combine": combine}}})
        assert "combine.choice.1.weights: unknown teacher 'cnv'; did you mean 'conv'?" in message
    match = {"teacher": "cnv", "pairs": [[0, 0]]}
    message = refusal({**tree, "distill": {"losses": {"hint": {"match": match}}}})
    assert "distill.losses.hint.match.teacher: unknown teacher 'cnv'; did you mean 'conv'?" in message
    assert "the loss 'kd' needs a teacher: name one" in refusal({**tree, "distill": {"losses": {"kd": {}}}})


def test_epochs_beside_a_teacher_s_model_are_those_of_its_optimiser():
    teacher = {"model": "mlp", "epochs": 7, "optim": {"name": "adamw"}}
    optim = load_spec({**SMALL, "teachers": {"t": teacher}}).teachers["t"].optim
    assert (optim.part, optim.epochs) == ("adamw", 7)


def test_overrides_set_mappings_items_and_new_keys():
    spec = load_spec(
        DIGITS,
        (
            "data.batch_size=8",
            "student.choice.1.hidden=[4]",
            "student.choice.0.width={int: [1, 2]}",
            "search.sampler=random",
            "search.sampler.name=nsga2",
            "search.sampler.population=6",
            "compute.workers=2",
            "optim.lr=1e-3",
        ),
    )
    tree = spec.tree()
    assert (tree["data"]["batch_size"], tree["compute"]["workers"], tree["optim"]["lr"]) == (8, 2, 1e-3)
    assert tree["student"].options[1]["hidden"] == [4]
    assert tree["student"].options[0]["width"] == Int(1, 2)
    assert tree["search"]["sampler"] == {"name": "nsga2", "population": 6}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.lr", "--set optim.lr: expected key.of.the.spec=value"),
        ("=1", "--set =1: expected key.of.the.spec=value"),
        ("optim..lr=1", "--set optim..lr=1: expected key.of.the.spec=value"),
        ("optim.lr={a", "--set optim.lr={a: the value is not YAML"),
        ("student.choice.7.name=mlp", "'7' is not an index into a list of 2 items"),
        ("student.choice.mlp.name=mlp", "'mlp' is not an index into a list of 2 items"),
        ("serach.trials=1", "unknown key 'serach'; did you mean 'search'?"),
    ],
)
def test_a_wrong_override_is_refused(override, message):
    assert message in refusal(DIGITS, (override,))


def test_an_override_reaches_into_a_part_given_by_its_name_alone():
    spec = load_spec(SMALL, ("data.batch_size=8", "student.hidden=[4]", "search.sampler.startup=3"))
    assert spec.data.batch_size == 8
    assert spec.student.options["hidden"] == (4,)
    assert spec.search.sampler.options["startup"] == 3


def test_a_problem_with_an_override_is_not_blamed_on_a_line_of_the_file():
    assert (
        refusal(DIGITS, ("optim.lr=-1",)) == f"{DIGITS}: optim.lr: expected a number greater than 0, got -1"
    )
    assert refusal(DIGITS, ("student.choice.0=mpl",)).startswith(f"{DIGITS}: student.choice.0.name: unknown")


def places(tree: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, inner in items:
        yield from places(inner, (*place, key))


def put(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.copy(tree)
    changed[place[0]] = put(changed[place[0]], place[1:], value)
    return changed


STRANGE: list[Any] = [
    *(None, True, -1, 2.5, float("nan"), float("inf"), "", "x", "os:nothing", [], {}, [None], ["a", 1]),
    *({"a": 1}, {1: 2}, {"float": [0, 1], 1: 2}, {"float": [0, 1], "int": [0, 1]}, {"choice": [1, 1]}),
    *({"choice": [{"choice": [1]}]}, {"subset": [[]]}, {"simplex": [[1]]}, {"matching": {}}, {"int": [1, 2]}),
]


@pytest.mark.parametrize("strange", STRANGE, ids=repr)
def test_whatever_stands_at_a_key_is_a_spec_or_is_refused_by_name(strange):
    for place in places(TREE):
        try:
            spec = load_spec(put(TREE, place, strange))
        except SpecError as error:
            assert all(problem.key and problem.message for problem in error.problems)
        else:
            assert load_spec(spec.plain()) == spec
            config = canonical(sample(spec, RandomTrial(0)))
            assert config_yaml(config)


def test_an_integer_fits_in_64_bits_signed():
    assert load_spec(SMALL | {"search": {"trials": 2**63 - 1}}).search.trials == 2**63 - 1
    for trials in (2**63, 2**64 - 1):  # the second takes 64 bits, but unsigned
        refused = refusal(SMALL | {"search": {"trials": trials}})
        assert refused == "spec: search.trials: integers must fit in 64 bits (signed)"
        refused = refusal(SMALL | {"search": {"seed": trials}})
        assert refused.endswith("got an integer that does not fit in 64 bits (signed)")
    assert "got -9223372036854775808" in refusal(SMALL | {"search": {"trials": -(2**63)}})
