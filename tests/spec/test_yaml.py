"""YAML as it is read: lines, numbers, keys given twice, and what is not YAML."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from kdsearch.errors import InputError, SpecError
from kdsearch.spec import dump_yaml, parse_yaml, read_yaml


def test_every_key_and_item_knows_its_line():
    _, lines = parse_yaml(
        "# a comment\nname: x\n\nstudent:\n  choice:\n    - {name: mlp}\n    - name: convnet\n"
    )
    assert lines == {
        ("name",): 2,
        ("student",): 4,
        ("student", "choice"): 5,
        ("student", "choice", 0): 6,
        ("student", "choice", 0, "name"): 6,
        ("student", "choice", 1): 7,
        ("student", "choice", 1, "name"): 7,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E3", 1000.0),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("12", 12),
        ("-.inf", float("-inf")),
        ("1e", "1e"),
        ("e4", "e4"),
        ("1.2.3", "1.2.3"),
        ("true", True),
        ("null", None),
        ("2020-01-01", date(2020, 1, 1)),
    ],
)
def test_scalars_are_read_as_yaml_1_2_reads_them(text, value):
    found, _ = parse_yaml(f"key: {text}")
    assert found["key"] == value
    assert type(found["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "file.yaml:3: a: this key is given twice"),
        ("a:\n  b: {c: 1, c: 2}\n", "file.yaml:2: a.b.c: this key is given twice"),
        ("a: [1\nb: 2\n", "file.yaml:2: not YAML: while parsing a flow sequence (begun on line 1) expected"),
        ("a: 'x\n", "not YAML: while scanning a quoted scalar"),
        ("\ta: 1\n", "file.yaml:1: not YAML: while scanning for the next token"),
        ("a: !!python/object:os.system 1\n", "not YAML: could not determine a constructor"),
        ("a: 1\n---\nb: 2\n", "not YAML: expected a single document"),
        ("a: \x00\n", "not YAML: "),
    ],
)
def test_what_is_not_a_spec_s_yaml_is_refused_with_its_line(text, message):
    with pytest.raises(SpecError) as refusal:
        parse_yaml(text, "file.yaml")
    assert message in str(refusal.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xfa"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None):
    path = tmp_path / "space.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"space\.yaml: cannot be read"):
        read_yaml(path)


def test_what_is_written_reads_back_with_keys_in_their_order():
    value = {"b": [[1, 2], [3]], "a": {"text": "1e-4", "number": 1e-4, "none": None}, "c": [{"d": "é"}]}
    text = dump_yaml(value)
    assert list(parse_yaml(text)[0]) == ["b", "a", "c"]
    assert parse_yaml(text)[0] == value
    assert "b: [[1, 2], [3]]" in text
