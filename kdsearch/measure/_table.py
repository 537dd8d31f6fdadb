"""Figures of students in a CSV file, found by architecture and by the form in which they ship."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kdsearch.errors import InputError, SpecError, nearest
from kdsearch.files import replacing
from kdsearch.registry import find
from kdsearch.space import describe_form, describe_model
from kdsearch.spec import AS_TRAINED, Deploy, parse_yaml
from kdsearch.spec.problems import readable


@dataclass(frozen=True)
class _Row:
    """A line of a table: the options that a student must have, and its figure."""

    line: int
    options: Mapping[str, Any]
    value: float


#: Columns that tell forms apart, unless a model has an option of that name.
_FORM = tuple(AS_TRAINED)


def lookup(file: str, column: str, architecture: Mapping[str, Any], form: Mapping[str, Any]) -> float:
    """The value of `column` in the one row whose cells all hold for `architecture`, shipped in `form`.

    Raises:
        InputError: The file cannot be read or is not such a table; no row holds, or several with different
            values.
    """
    path = Path(file)
    try:
        stamp = path.stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None
    student = _student(architecture, form)
    rows = [row for row in _rows(path, column, stamp) if _holds(row.options, student)]
    if not rows:
        raise InputError(f"{file}: no row for {_described(architecture, form)}")
    if len({row.value for row in rows}) > 1:
        lines = " and ".join(str(row.line) for row in rows[:2])
        raise InputError(
            f"{file}: lines {lines} both match {_described(architecture, form)}, with different values"
        )
    return rows[0].value


def enter(
    file: str, column: str, architecture: Mapping[str, Any], form: Mapping[str, Any], value: float
) -> None:
    """Add a row for `architecture` in `form` to a table; a new table is made.

    It takes the place of the row for just these, or for just that architecture in whatever form.

    Raises:
        InputError: The file is not such a table, or another of its rows matches that student too.
    """
    path, options, formless = Path(file), _student(architecture, form), _student(architecture, {})
    rows = list(_rows(path, column, path.stat().st_mtime_ns)) if path.exists() else []
    rows = [row for row in rows if row.options not in (options, formless)]
    for row in rows:
        if _holds(row.options, options):
            raise InputError(f"{file}:{row.line}: this row matches {_described(architecture, form)} too")
    rows.append(_Row(len(rows) + 2, options, value))
    heads = list(dict.fromkeys(key for row in rows for key in row.options))
    try:
        with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow([*heads, column])
            for row in rows:
                writer.writerow([*(_cell(row.options.get(head, "")) for head in heads), f"{row.value:.6g}"])
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None


def _cell(value: Any) -> str:
    """As YAML reads it, on one line."""
    return value if isinstance(value, str) else json.dumps(value)


def _student(architecture: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """The cells of a student: its options, and the keys of its form that are set."""
    said = {key: value for key, value in form.items() if value is not None}
    return {key: _plain(value) for key, value in {**architecture, **said, **architecture}.items()}


def _described(architecture: Mapping[str, Any], form: Mapping[str, Any]) -> str:
    words = describe_form(form)
    return f"{describe_model(architecture)} as {words}" if words else describe_model(architecture)


def _holds(options: Mapping[str, Any], student: Mapping[str, Any]) -> bool:
    """Whether the cells of a row hold for a student; what is not said of its form may be anything."""
    return all(student[key] == value if key in student else key in _FORM for key, value in options.items())


def _plain(value: Any) -> Any:
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


@lru_cache(maxsize=16)
def _rows(path: Path, column: str, stamp: int) -> tuple[_Row, ...]:
    """The rows of the file as it was changed at `stamp`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            return tuple(_parsed(csv.DictReader(opened, strict=True, skipinitialspace=True), path, column))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a table: {error}") from None


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
    for key, value in options.items():
        if key == "name" or key in part.parameters:
            continue
        if key in _FORM:
            _check_form(at, key, value)
        elif not part.open:
            raise InputError(f"{at}: {part.name} has no option '{key}'{nearest(key, part.parameters)}")


def _check_form(at: str, key: str, value: Any) -> None:
    try:
        Deploy.model_validate({key: value})
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False, include_context=False)
        message = readable(first["type"], first["msg"], first["input"])
        raise InputError(f"{at}: {key}: {message}") from None
