"""The extremes of a space: what has to be valid for all of it to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdsearch.spec import Choice, Float, Int


def corners(value: Any) -> list[Any]:
    """Values without domains in which each option, and both ends of each range, occur at least once."""
    match value:
        case Float(low, high) | Int(low, high):
            return [low, high]
        case Choice(options):
            return [corner for option in options for corner in corners(option)]
        case Mapping():
            inner = {key: corners(item) for key, item in value.items()}
            most = max(map(len, inner.values()), default=1)
            return [{key: items[i % len(items)] for key, items in inner.items()} for i in range(most)]
        case list() | tuple():
            inner_list = [corners(item) for item in value]
            most = max(map(len, inner_list), default=1)
            return [[items[i % len(items)] for items in inner_list] for i in range(most)]
    return [value]
