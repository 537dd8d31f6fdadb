"""YAML with line numbers: the safe loader, YAML 1.2 numbers (`1e-4` is one), and no key given twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from kdsearch.errors import InputError, KeyPath, Problem, SpecError

#: No spec comes near; beyond it some step of Python's, or of ours, would run out of stack or memory.
DEEPEST = 64
_MOST = 100_000
#: Characters of a text, which is read at 60 kB a second, and of one value in it.
_LONGEST_TEXT, _LONGEST_VALUE = 1_000_000, 10_000
_TOO_DEEP = f"nested deeper than {DEEPEST} levels"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, reading numbers as YAML 1.2 does."""


def parse_yaml(text: str, file: str | None = None) -> tuple[Any, Mapping[KeyPath, int]]:
    """The value of a YAML text, and the line (from 1) on which the value of each key stands.

    Raises:
        SpecError: For a syntax error, or a key given twice.
    """
    try:
        if len(text) > _LONGEST_TEXT:
            raise ValueError(f"it is longer than {_LONGEST_TEXT} characters")
        loader = _Loader(text)
        node = loader.get_single_node()
        _measure(node, {}, 0)
        lines = dict(_lines(node, ())) if node is not None else {}
        value = loader.construct_document(node) if node is not None else None
    except _TwiceError as error:
        raise SpecError([Problem(error.path, "this key is given twice", error.line)], file) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        begun = error.context_mark
        since = f"(begun on line {begun.line + 1})" if begun and mark and begun.line < mark.line else None
        message = " ".join(filter(None, [error.context, since, error.problem]))
        raise SpecError(
            [Problem((), f"not YAML: {message}", mark.line + 1 if mark else None)], file
        ) from None
    except RecursionError:
        raise SpecError([Problem((), f"not YAML: {_TOO_DEEP}")], file) from None
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError([Problem((), f"not YAML: {str(error)[:300]}")], file) from None
    except (AttributeError, LookupError, TypeError, OverflowError):  # PyYAML trusts the tags of a text
        raise SpecError([Problem((), "not YAML: a value is not what its tag says")], file) from None
    return value, lines


def read_yaml(path: Path) -> tuple[Any, Mapping[KeyPath, int]]:
    """`parse_yaml` of a file.

    Raises:
        InputError: When it can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{path}: cannot be read: {reason}") from None
    return parse_yaml(text, str(path))


def dump_yaml(value: Any) -> str:
    """YAML text for plain values: keys in their order, short lists on one line."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """PyYAML's safe dumper, the one in C where PyYAML was built with it: every trial writes a config."""

    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        flat = not any(isinstance(item, Mapping) for item in sequence)
        node: yaml.SequenceNode = super().represent_sequence(tag, sequence, flow_style=flat or flow_style)
        return node


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(
            r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
        ),
        list("-+0123456789."),
    )


def _measure(node: yaml.Node | None, known: dict[yaml.Node, int], depth: int) -> int:
    """How many values a node stands for, aliases followed; a few lines of these can stand for billions."""
    if depth > DEEPEST:
        raise ValueError(_TOO_DEEP)
    if node is None or isinstance(node, yaml.ScalarNode):
        if node is not None and len(node.value) > _LONGEST_VALUE:
            raise ValueError(f"a value in it is longer than {_LONGEST_VALUE} characters")
        return 1
    if node not in known:
        known[node] = _MOST  # until it is known: one that holds itself is without end
        mapping = isinstance(node, yaml.MappingNode)
        parts = [part for pair in node.value for part in pair] if mapping else node.value
        known[node] = 1 + sum(_measure(part, known, depth + 1) for part in parts)
    if known[node] >= _MOST:
        raise ValueError(f"with its aliases followed it holds more than {_MOST} values")
    return known[node]


class _TwiceError(Exception):
    def __init__(self, path: KeyPath, line: int) -> None:
        self.path, self.line = path, line


def _lines(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise _TwiceError((*path, name), line)
            seen.add(name)
            yield (*path, name), line
            yield from _lines(value, (*path, name))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value.start_mark.line + 1
            yield from _lines(value, (*path, index))
