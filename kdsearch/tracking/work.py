"""What is still to be written to a run: operations on one uid, merged until they can be written.

Merging them bounds the memory while a server cannot be reached: tags and params keep their last value, a
file that is written again replaces itself, and an epoch costs one record.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kdsearch.tracking import names
from kdsearch.types import State


def now() -> int:
    """MLflow's clock: milliseconds since 1970."""
    return int(time.time() * 1000)


class Point(NamedTuple):
    """Metrics of one moment."""

    time: int
    step: int
    values: Mapping[str, float]


class Upload(NamedTuple):
    """A file or folder of this machine, to be stored in `folder` of the run's artifacts."""

    path: Path
    folder: str | None


class Text(NamedTuple):
    """The whole content of the artifact `file`."""

    file: str
    text: str


class Remove(NamedTuple):
    """An artifact, file or folder, that is to go."""

    path: str


@dataclass
class Work:
    """The merged operations of one run, and when the first of them was requested."""

    born: int = field(default_factory=now)
    name: str = ""
    config: Mapping[str, object] | None = None
    """Of a trial, as it was given: in MLflow's terms it is ten times as large, and thousands may wait."""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    """Tags of the experiment."""
    points: list[Point] = field(default_factory=list)
    files: list[Upload | Text | Remove] = field(default_factory=list)
    state: State | None = None
    changed: int = 0
    """When `state` was entered."""

    def __len__(self) -> int:
        noted = (self.params, self.tags, self.shared, self.points, self.files)
        return sum(map(len, noted)) + (self.config is not None) + (self.state is not None)

    def enter(self, state: State, at: int | None = None) -> None:
        """Set the state, as of `at`, by default now."""
        self.state, self.changed = state, at or now()

    def put(self, file: Upload | Text | Remove) -> None:
        """Add a file operation, and drop an earlier one that it makes needless."""
        if isinstance(file, Text):
            self.files = [f for f in self.files if not (isinstance(f, Text) and f.file == file.file)]
        elif isinstance(file, Upload):
            self.files = [f for f in self.files if f != file]
        self.files.append(file)

    def unfold(self) -> None:
        """Put the config in MLflow's terms: params, metrics, and a tag, or a file where it is too long."""
        if self.config is None:
            return
        whole = json.dumps(self.config, default=str)
        if len(whole) <= names.LONGEST_CONFIG_TAG:
            self.tags[names.CONFIG] = whole
        else:
            self.put(Text(names.CONFIG_FILE, whole))
        self.params |= names.flatten(self.config)
        self.points.insert(0, Point(self.born, 0, names.numbers(self.config)))
        self.config = None

    def drop_values(self) -> None:
        """Drop everything but files to be written."""
        self.points, self.params, self.tags, self.state = [], {}, {}, None
        self.files = [file for file in self.files if not isinstance(file, Remove)]

    def absorb(self, later: Work) -> None:
        """Merge what was requested later into this."""
        self.name = later.name or self.name
        if later.config is not None:
            self.config, self.born = later.config, later.born
        self.params |= later.params
        self.tags |= later.tags
        self.shared |= later.shared
        self.points += later.points
        for file in later.files:
            self.put(file)
        if later.state is not None:
            self.state, self.changed = later.state, later.changed
