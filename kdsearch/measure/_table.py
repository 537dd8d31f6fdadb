"""Figures of students in a CSV file, found by architecture."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kdsearch.errors import InputError, SpecError, nearest
from kdsearch.registry import find
from kdsearch.space import describe_model
from kdsearch.spec import parse_yaml


@dataclass(frozen=True)
class _Row:
    """A line of a table: the options that a student must have, and its figure."""

    line: int
    options: Mapping[str, Any]
    value: float


def lookup(file: str, column: str, architecture: Mapping[str, Any]) -> float:
    """The value of `column` in the one row whose cells all hold for `architecture`.

    Raises:
        InputError: The file cannot be read or is not such a table; no row holds, or several with different
            values.
    """
    path = Path(file)
    try:
        stamp = path.stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None
    rows = [row for row in _rows(path, column, stamp) if _holds(row.options, architecture)]
    if not rows:
        raise InputError(f"{file}: no row for {describe_model(architecture)}")
    if len({row.value for row in rows}) > 1:
        lines = " and ".join(str(row.line) for row in rows[:2])
        raise InputError(f"{file}: lines {lines} both hold for {describe_model(architecture)}, and differ")
    return rows[0].value


def enter(file: str, column: str, architecture: Mapping[str, Any], value: float) -> None:
    """Add a row for `architecture` to a table, in place of the one for just its options; a new table is made.

    Raises:
        InputError: The file is no such table, or another of its rows holds for `architecture` too.
    """
    path, options = Path(file), {key: _plain(value) for key, value in architecture.items()}
    rows = list(_rows(path, column, path.stat().st_mtime_ns)) if path.exists() else []
    rows = [row for row in rows if row.options != options]
    for row in rows:
        if _holds(row.options, options):
            raise InputError(f"{file}:{row.line}: this row holds for {describe_model(options)} too")
    rows.append(_Row(len(rows) + 2, options, value))
    heads = list(dict.fromkeys(key for row in rows for key in row.options))
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow([*heads, column])
            for row in rows:
                writer.writerow([*(_cell(row.options.get(head, "")) for head in heads), f"{row.value:.6g}"])
        part.replace(path)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None


def _cell(value: Any) -> str:
    """As YAML reads it, on one line."""
    return value if isinstance(value, str) else json.dumps(value)


def _holds(options: Mapping[str, Any], architecture: Mapping[str, Any]) -> bool:
    return all(key in architecture and _plain(architecture[key]) == value for key, value in options.items())


def _plain(value: Any) -> Any:
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


@lru_cache(maxsize=16)
def _rows(path: Path, column: str, stamp: int) -> tuple[_Row, ...]:
    """The rows of the file as it was changed at `stamp`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            return tuple(_parsed(csv.DictReader(opened, strict=True, skipinitialspace=True), path, column))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no table: {error}") from None


def _parsed(reader: csv.DictReader[str], path: Path, column: str) -> Iterator[_Row]:
    heads = [head.strip() for head in reader.fieldnames or ()]
    for wanted in ("name", column):
        if wanted not in heads:
            raise InputError(f"{path}:1: there is no column '{wanted}'{nearest(wanted, heads)}")
    reader.fieldnames = heads
    for cells in reader:
        at = f"{path}:{reader.line_num}"
        if None in cells or None in cells.values():
            raise InputError(f"{at}: expected {len(heads)} cells, as in the first line")
        options = {
            key: _value(at, key, text) for key, text in cells.items() if key != column and text.strip()
        }
        _check(at, options)
        value = _value(at, column, cells[column])
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise InputError(f"{at}: {column}: expected a number of at least 0, got '{cells[column]}'")
        yield _Row(reader.line_num, options, float(value))


def _value(at: str, column: str, text: str) -> Any:
    try:
        return parse_yaml(text)[0]
    except SpecError as error:
        raise InputError(f"{at}: {column}: {error.problems[0].message}") from None


def _check(at: str, options: Mapping[str, Any]) -> None:
    try:
        part = find("model", str(options.get("name", "")))
    except InputError as error:
        raise InputError(f"{at}: {error}") from None
    for key in options:
        if key != "name" and key not in part.parameters and not part.open:
            raise InputError(f"{at}: {part.name} has no option '{key}'{nearest(key, part.parameters)}")
