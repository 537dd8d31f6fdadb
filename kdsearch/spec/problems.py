"""Raising and rewording validation errors in the words of a spec."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

Place = tuple[str | int, ...]


def readable(kind: str, message: str, given: object) -> str:
    """Pydantic's message in our words: what was expected, and what was given."""
    if kind == "kdsearch":
        return message
    if kind == "missing":
        return "a value is required"
    message = message.replace("Input should be a valid ", "expected a ").replace(
        "Input should be ", "expected "
    )
    return f"{message}, got {given!r}"


def problem(message: str) -> PydanticCustomError:
    return PydanticCustomError("kdsearch", "{message}", {"message": message})  # type: ignore[arg-type]


def problems(errors: Iterable[tuple[Place, str, Any]]) -> ValidationError:
    details: list[InitErrorDetails] = [
        {"type": problem(message), "loc": place, "input": given} for place, message, given in errors
    ]
    return ValidationError.from_exception_data("spec", details)
