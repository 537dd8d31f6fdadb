"""Specs, overrides and domains, generated and mutated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzed import SPEC, changed, domains, mutated, texts, values
from hypothesis import given
from hypothesis import strategies as st

from kdsearch.errors import KdsearchError
from kdsearch.space import RandomTrial, canonical, describe, dimensions, fingerprint, sample
from kdsearch.spec import Spec, dump_yaml, has_domain, load_spec, parse_yaml

Attempt = Callable[[Callable[[], Any]], Any]
_TEXT = dump_yaml(SPEC).encode()


def used(spec: Spec) -> None:
    """What every command does with a spec that is valid; it must not fail any more."""
    assert load_spec(spec.plain()).plain() == spec.plain()
    assert load_spec(parse_yaml(dump_yaml(spec.plain()))[0]).plain() == spec.plain()
    assert bool(dimensions(spec)) >= has_domain(spec.tree()["optim"])
    config = canonical(sample(spec, RandomTrial(0)))
    describe(config), fingerprint(config)
    if config["distill"]["losses"]:
        assert not has_domain(load_spec(config).tree())


@given(tree=values)
def test_any_value_as_a_spec(attempt: Attempt, tree: Any):
    attempt(lambda: load_spec(tree if isinstance(tree, dict) else {"student": tree}))


@given(tree=changed(values))
def test_a_spec_with_values_changed(attempt: Attempt, tree: dict[str, Any]):
    attempt(lambda: used(load_spec(tree)))


@given(tree=changed(domains, only_searched=True))
def test_a_spec_with_domains_changed(attempt: Attempt, tree: dict[str, Any]):
    attempt(lambda: used(load_spec(tree)))


@given(text=st.text() | mutated(_TEXT).map(lambda content: content.decode("utf-8", "replace")))
def test_any_text_as_yaml(attempt: Attempt, text: str):
    attempt(lambda: parse_yaml(text))


@given(content=st.binary() | mutated(_TEXT))
def test_any_bytes_as_a_file(attempt: Attempt, content: bytes):
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(content)
        file.flush()
        attempt(lambda: used(load_spec(Path(file.name))))


_KEYS = st.lists(texts, min_size=1, max_size=6).map(".".join)
_REAL = st.sampled_from(
    ["optim.lr", "search.trials", "distill.losses.kd", "student", "data", "name", "teachers"]
)


@given(overrides=st.lists(st.tuples(_KEYS | _REAL, texts | st.text()).map("=".join) | texts, max_size=3))
def test_any_override(attempt: Attempt, overrides: list[str]):
    attempt(lambda: used(load_spec(SPEC, overrides)))


def nested(depth: int, kind: str) -> str:
    return {
        "lists": "[" * depth + "]" * depth,
        "open lists": "[" * depth,
        "mappings": "{a: " * depth + "1" + "}" * depth,
        "blocks": "".join(" " * level + "a:\n" for level in range(min(depth, 1500))),
        "choices": "student: " + "{choice: [" * depth + "mlp" + "]}" * depth,
        "dashes": "- " * depth + "x",
    }[kind]


@pytest.mark.parametrize("depth", [10, 40, 90, 200, 500, 1000, 20_000])
@pytest.mark.parametrize("kind", ["lists", "open lists", "mappings", "blocks", "choices", "dashes"])
def test_deep_nesting(attempt: Attempt, tmp_path: Path, depth: int, kind: str):
    (tmp_path / "s.yaml").write_text("data: digits\n" + nested(depth, kind))
    assert attempt(lambda: load_spec(tmp_path / "s.yaml")) is None or kind == "choices"
    assert attempt(lambda: load_spec({**SPEC}, [f"optim={nested(depth, kind)}"])) is None


@pytest.mark.parametrize("depth", [50, 5000])
def test_a_long_key(attempt: Attempt, depth: int):
    assert attempt(lambda: load_spec(SPEC, ["a" + ".b" * depth + "=1"])) is None


BOMBS = {
    "laughs": "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 'lol'}]\n" for i in range(30)),
    "mappings": "".join(
        f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9)) if i else 'k: v'}}}\n"
        for i in range(30)
    ),
    "merges": "".join(
        f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" if i else "a0: &a0 {k: v}\n"
        for i in range(30)
    ),
    "a loop": "a: &a [*a]\n",
    "a loop of mappings": "a: &a {b: *a}\n",
    "a loop of merges": "a: &a {<<: *a}\n",
    "a long number": f"a: {'9' * 5000}\n",
    "a number": f"data: digits\nstudent: {{name: mlp, hidden: [{'9' * 4000}]}}\n",
    "an exponent": "data: digits\noptim: {lr: 1e99999999999}\nstudent: mlp\n",
    "sexagesimal": f"a: {'1:' * 100_000}1\n",
    "a long text": "a: 1 # " + "x" * 2_000_000,
    "a long key": f"{'k' * 1_000_000}: 1\n",
    "many equal options": (
        f"student: {{name: mlp, hidden: {{choice: [{'[1], ' * 20_000}]}}}}\ndata: digits\nx: 1\n"
    ),
    "many keys": "".join(f"k{i}: 1\n" for i in range(5000)),
    "many options": f"data: digits\nstudent: {{choice: [{', '.join(f'm{i}' for i in range(3000))}]}}\n",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_small_file_that_would_grow_is_refused_soon(attempt: Attempt, tmp_path: Path, bomb: str):
    (tmp_path / "s.yaml").write_text(bomb)
    assert attempt(lambda: load_spec(tmp_path / "s.yaml")) is None


@pytest.mark.parametrize(
    "tag",
    ["!!timestamp x", "!!int ''", "!!float ''", "!!bool x", "!!null x", "!!binary x", "!!set [a]", "!!omap x",
     "!!pairs [1]", "!!python/name:os.system x", "!custom x", "!!str {a: 1}", "!!map [1]", "!!seq {a: 1}",
     "? [a, b]\n: c", "? {a: 1}\n: c", "!!int 0x", "0o9", "2001-99-99", "=", "<<: 3", "<<: [3]"],
)  # fmt: skip
def test_a_value_that_its_tag_does_not_allow(tag: str):
    for text in (tag, f"a: {tag}" if "\n" not in tag else tag):
        try:
            parse_yaml(text)
        except KdsearchError as error:
            assert "not YAML" in str(error)
