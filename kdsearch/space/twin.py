"""The twin of a config: its student trained without teachers, to tell what the student gains by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdsearch.space.canonical import canonical
from kdsearch.space.reuse import body


def without_teachers(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config that trains the same student in the same way, from labels alone."""
    labels = {"name": "ce", "weight": 1.0, "label_smoothing": 0.0}
    teachers = {"members": [], "combine": {"name": "mean"}, "dropout": 0.0}
    distill = {"teachers": teachers, "losses": {"ce": labels}}
    return canonical({**config, "student": body(config["student"]), "distill": distill})
