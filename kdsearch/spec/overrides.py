"""Overrides of a spec from the command line: `--set key.of.the.spec=value`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kdsearch.errors import InputError, KeyPath, SpecError
from kdsearch.spec.yaml import DEEPEST, parse_yaml

#: Characters of an override that a message quotes.
_LONGEST = 200


def apply_overrides(tree: Any, overrides: Sequence[str]) -> Any:
    """`tree` with each `key.path=value` set, mappings made as needed. The tree itself is left as it is."""
    for override in overrides:
        path, equals, text = override.partition("=")
        keys = path.split(".")
        said = override if len(override) <= _LONGEST else f"{override[:_LONGEST]}…"
        if not equals or not all(keys):
            raise InputError(f"--set {said}: expected key.of.the.spec=value")
        if len(keys) > DEEPEST:
            raise InputError(f"--set {said}: the key is nested deeper than {DEEPEST} levels")
        try:
            value, _ = parse_yaml(text)
        except SpecError as error:
            raise InputError(f"--set {said}: the value is {error.problems[0].message}") from None
        tree = _set(tree, keys, value, said)
    return tree


def _set(tree: Any, keys: Sequence[str], value: Any, override: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(tree, list):
        if not key.isdigit() or int(key) >= len(tree):
            raise InputError(f"--set {override}: '{key}' is not an index into a list of {len(tree)} items")
        return [
            _set(inner, rest, value, override) if i == int(key) else inner for i, inner in enumerate(tree)
        ]
    if tree is not None and not isinstance(tree, Mapping):
        tree = {"name": tree} if isinstance(tree, str) else {}
    inner = (tree or {}).get(key)
    if rest and key == "data" and isinstance(inner, str):
        inner = {"source": inner}
    return {**(tree or {}), key: _set(inner, rest, value, override)}


def lines_after(lines: Mapping[KeyPath, int], overrides: Sequence[str]) -> Mapping[KeyPath, int]:
    """The lines of the keys that the file still sets; 0 for those that an override sets."""
    for override in overrides:
        keys = override.partition("=")[0].split(".")
        place: KeyPath = tuple(int(key) if key.isdigit() else key for key in keys)
        lines = {key: line for key, line in lines.items() if key[: len(place)] != place} | {place: 0}
    return lines
