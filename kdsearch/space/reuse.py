"""Students that reuse their teacher's classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdsearch.registry import find
from kdsearch.space.losses import all_losses, vanishes


def reusing(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with its student as the body of a model `reused`, where one of its losses asks for it."""
    members, student = config["distill"]["teachers"]["members"], config["student"]
    asks = any(
        find("loss", loss["name"]).facts.get("matching") == "classifier" and not vanishes(loss["weight"])
        for _, loss in all_losses(config["distill"])
    )
    if not (asks and members) or student["name"] == "reused":
        return dict(config)
    first = next(name for name in config["teachers"] if name in members)
    model = {"name": "reused", "body": student, "teacher": config["teachers"][first]["model"]}
    return {**config, "student": model}


def body(student: Mapping[str, Any]) -> Mapping[str, Any]:
    """A student without what it reuses of a teacher."""
    inner: Mapping[str, Any] = student["body"] if student["name"] == "reused" else student
    return inner
