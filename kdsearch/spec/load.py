"""From a file or a mapping to a valid `Spec`, or to every problem with file, line and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kdsearch.errors import KeyPath, Problem, SpecError
from kdsearch.spec.checks import check
from kdsearch.spec.overrides import apply_overrides, lines_after
from kdsearch.spec.problems import readable
from kdsearch.spec.schema import Spec
from kdsearch.spec.yaml import read_yaml


def load_spec(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Spec:
    """The spec in a YAML file or a mapping.

    Args:
        source: A path, or the content itself.
        overrides: `key.of.the.spec=value` each, the value in YAML.

    Raises:
        SpecError: When it is not valid; it lists all problems.
        InputError: When the file can't be read, or an override can't be applied.
    """
    file: str | None = None
    tree: Any = source
    lines: Mapping[KeyPath, int] = {}
    if not isinstance(source, Mapping):
        file = str(source)
        tree, lines = read_yaml(Path(source))
    tree, lines = apply_overrides(tree, overrides), lines_after(lines, overrides)
    try:
        spec = Spec.model_validate(tree)
        problems = list(check(spec))
    except ValidationError as error:
        problems = [
            Problem(tuple(e["loc"]), readable(e["type"], e["msg"], e["input"]))
            for e in error.errors(include_url=False, include_context=False)
        ]
    if problems:
        raise _with_lines(problems, lines, file)
    return spec


def located(problems: Sequence[Problem], file: str | None) -> SpecError:
    """The error for problems that were found later, with the lines of the file that the spec came from."""
    return _with_lines(problems, read_yaml(Path(file))[1] if file else {}, file)


def _with_lines(problems: Sequence[Problem], lines: Mapping[KeyPath, int], file: str | None) -> SpecError:
    return SpecError([Problem(p.key, p.message, _line(p.key, lines)) for p in problems], file)


def _line(key: KeyPath, lines: Mapping[KeyPath, int]) -> int | None:
    """The line of the key, or of the nearest key above it."""
    for length in range(len(key), 0, -1):
        if key[:length] in lines:
            return lines[key[:length]]
    return None
