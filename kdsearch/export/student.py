"""What there is to export of a student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Student:
    """A trained student, with what is known of it."""

    config: Mapping[str, Any]
    """A config; it is written as a spec that `kdsearch train` runs."""
    files: Path
    """The folder with the weights and, where it is another, the file that ships."""
    described: Mapping[str, Any]
    """`shape`, `mean`, `std` and `classes` of the data."""
    metrics: Mapping[str, Any]
    """The figures, those on the validation split under their plain names."""
    teachers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """A record each, with `metrics`, as far as they are known."""
    origin: Mapping[str, str] = field(default_factory=dict)
    """The `search` and `run` that it comes from."""
