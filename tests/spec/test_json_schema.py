"""The JSON Schema that editors use: it takes what we take, and refuses the plainest mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kdsearch.registry import parts
from kdsearch.spec import json_schema, load_spec, read_yaml

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_the_spaces_we_ship_are_valid_as_written_and_as_loaded(validator: Draft202012Validator, path: Path):
    assert not [error.message for error in validator.iter_errors(read_yaml(path)[0])]
    assert not [error.message for error in validator.iter_errors(load_spec(path).plain())]


def _set(tree: Any, key: str, value: Any) -> Any:
    first, _, rest = key.partition(".")
    return {**tree, first: _set(tree.get(first, {}), rest, value) if rest else value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("serach", {}),
        ("data.batch_size", "big"),
        ("optim.lr", "fast"),
        ("optim.lr", {"float": [1]}),
        ("optim.lr", {"float": [0, 1], "lgo": True}),
        ("optim.precision", "fp8"),
        ("deploy.device", "gpu"),
        ("distill.teachers.members", {"float": [0, 1]}),
        ("objectives.accuracy", "up"),
        ("compute.workers", 1.5),
    ],
)
def test_a_plain_mistake_is_marked(validator: Draft202012Validator, key: str, value: Any):
    tree = {"data": {"source": "digits"}, "student": {"name": "mlp"}, "optim": {"name": "sgd"}}
    assert validator.is_valid(tree)
    assert not validator.is_valid(_set(tree, key, value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optim.lr", {"float": [0.1, 1], "log": True}),
        ("optim.epochs", {"int": [1, 3], "step": 2}),
        ("optim.schedule", {"choice": ["cosine"]}),
        ("deploy.device", {"choice": ["cpu", "cuda"]}),
        ("distill.teachers.members", {"subset": "all", "min": 1}),
        ("student", {"choice": [{"name": "mlp", "hidden": {"choice": [[8]]}}, "convnet"]}),
        ("student", {"name": "my.package:Net", "anything": 1}),
        ("distill.losses", {"hint": {"match": {"matching": {"max_pairs": 2}}}, "ce": None}),
    ],
)
def test_a_domain_is_taken_where_we_take_it(validator: Draft202012Validator, key: str, value: Any):
    tree = {"data": {"source": "digits"}, "student": {"name": "mlp"}, "optim": {"name": "sgd"}}
    assert not [error.message for error in validator.iter_errors(_set(tree, key, value))]


@pytest.mark.parametrize("kind", ["model", "dataset", "loss", "ensemble", "optimizer", "schedule", "sampler"])
def test_every_part_is_offered(kind: str):
    text = str(json_schema())
    assert [name for name in parts(kind) if f"'{name}'" not in text and not name.endswith(":")] == []
