"""Raising and rewording validation errors in the words of a spec."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from kdsearch.errors import KeyPath
from kdsearch.spec.domains import domain_key

#: Pydantic's words for what a spec calls otherwise.
_WORDS = {
    "Input should be a valid ": "expected a ",
    "Input should be greater": "expected a number greater",
    "Input should be less": "expected a number less",
    "Input should be ": "expected ",
    "a integer": "an integer",
    "a dictionary": "a mapping",
    "a tuple": "a list",
    "a string": "text",
    "a boolean": "true or false",
}
_LITERALS = {None: "nothing", True: "true", False: "false"}
_LONGEST = 80


def readable(kind: str, message: str, given: object) -> str:
    """Pydantic's message in our words: what was expected, and what was given."""
    if kind == "kdsearch":
        return message
    if kind == "missing":
        return "a value is required"
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    return f"{message}, got {shown(given)}" + (": no domain is allowed here" if domain_key(given) else "")


def shown(given: object) -> str:
    """A value as a message quotes it: as YAML writes it where Python does not, and not too long."""
    if isinstance(given, int) and beyond(given):
        return "an integer that does not fit in 64 bits (signed)"
    text = _LITERALS[given] if given is None or isinstance(given, bool) else repr(given)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def beyond(number: int) -> bool:
    """Whether an integer does not fit in 64 bits, signed."""
    return not -(2**63) <= number < 2**63


def problem(message: str) -> PydanticCustomError:
    """An error in our own words, for a validator to raise."""
    return PydanticCustomError("kdsearch", "{message}", {"message": message})


def problems(errors: Iterable[tuple[KeyPath, str, Any]]) -> ValidationError:
    """Several errors at once: the key path below the value, the message, and what was given there."""
    details: list[InitErrorDetails] = [
        {"type": problem(message), "loc": place, "input": given} for place, message, given in errors
    ]
    return ValidationError.from_exception_data("spec", details)
