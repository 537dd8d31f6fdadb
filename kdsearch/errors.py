"""Errors that speak to the user. The command line prints them without a traceback."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

#: The keys, and the indices of lists, that lead to a value of a spec.
KeyPath = tuple[str | int, ...]

#: Problems that one message lists; nobody reads more at once.
_SHOWN = 20


class KdsearchError(Exception):
    """Something failed in a way the user can read. Exit code 1."""

    exit_code = 1


class InputError(KdsearchError):
    """The input was wrong: a file, an option, a name. Exit code 2."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec: the path of the key, what is wrong, and the line, counted from 1."""

    key: KeyPath
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = ".".join(map(str, self.key))
        return f"{where}: {self.message}" if where else self.message


class SpecError(InputError):
    """A spec that does not hold: every problem with file, line and key."""

    def __init__(self, problems: Sequence[Problem], file: str | None = None) -> None:
        self.problems = tuple(problems)
        self.file = file
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> Iterable[str]:
        for problem in self.problems[:_SHOWN]:
            place = self.file or "spec"
            yield f"{place}:{problem.line}: {problem}" if problem.line else f"{place}: {problem}"
        if len(self.problems) > _SHOWN:
            yield f"and {len(self.problems) - _SHOWN} more"


def nearest(name: object, valid: Iterable[str]) -> str:
    """The tail of an error about an unknown name: `; did you mean 'x'?`, or the valid names when few."""
    names = sorted(map(str, valid))
    if close := get_close_matches(str(name), names, n=1, cutoff=0.6):
        return f"; did you mean '{close[0]}'?"
    return f"; expected one of: {', '.join(names)}" if 0 < len(names) <= 40 else ""


def first_line(error: BaseException) -> str:
    """What an error of a library says, without the calls and hints that follow."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
