"""Teachers: what determines one, and where its weights are kept."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from kdsearch.errors import InputError, KdsearchError
from kdsearch.files import has_weights, try_lock, write_whole
from kdsearch.space import digest
from kdsearch.spec import Spec, load_spec
from kdsearch.storage import fetch, send

#: Seconds between two checks whether another process is done with a teacher.
_LOOK = 0.5


def teacher_config(spec: Spec, name: str) -> Spec:
    """The config that trains one of the spec's teachers: its model, from labels alone."""
    tree = spec.tree("data", "teachers", "compute")
    teacher = tree["teachers"][name]
    return load_spec(
        {
            "name": name,
            "data": tree["data"] | ({"classes": teacher["classes"]} if teacher["classes"] else {}),
            "student": teacher["model"],
            "optim": teacher["optim"],
            "search": {"seed": spec.search.seed},
            # It is kept for searches that compile and for those that do not.
            "compute": tree["compute"] | {"compile": False},
        }
    )


def copy_number(spec: Spec, name: str) -> int:
    """How many teachers of the same definition precede this one: it makes their initial weights differ."""
    return [other for other in spec.teachers if spec.teachers[other] == spec.teachers[name]].index(name)


def teacher_key(spec: Spec, name: str) -> str:
    """Twelve hex digits of all that determines a teacher's weights.

    Raises:
        InputError: When it names a checkpoint that can't be read.
    """
    teacher = spec.teachers[name]
    tree = spec.tree("data", "teachers")
    content = {
        "data": tree["data"],
        "classes": teacher.classes,
        "model": tree["teachers"][name]["model"],
        "seed": spec.search.seed,
    }
    if teacher.weights is None:
        return digest(content | {"optim": tree["teachers"][name]["optim"], "copy": copy_number(spec, name)})
    try:
        path = Path(teacher.weights)
        about = path.stat()
        weights = _file_digest(path.absolute(), about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise InputError(f"teachers.{name}.weights: {teacher.weights}: {error.strerror}") from None
    return digest(content | {"weights": weights})


@lru_cache(maxsize=64)
def _file_digest(path: Path, size: int, changed: int) -> str:
    """Cached by size and time of change: every trial needs its teachers, whose files may be large."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class TeacherStore:
    """The folder of trained teachers: weights and a record of what they scored, by key."""

    folder: Path

    def weights(self, key: str) -> Path:
        """Where a teacher's weights are kept."""
        return self.folder / f"{key}.safetensors"

    def record(self, key: str) -> dict[str, Any] | None:
        """The record of a finished teacher whose weights are whole; None where it must be trained."""
        path = self.folder / f"{key}.json"
        if not path.exists():
            fetch(path)
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        weights = self.path(record)
        if weights.parent != self.folder:
            return record if weights.exists() else None
        if not has_weights(weights):
            fetch(weights)
        return record if has_weights(weights) else None

    def path(self, record: Mapping[str, Any]) -> Path:
        """The weights that a record speaks of: a file in this folder, or the user's own checkpoint."""
        return self.folder / str(record["weights"])

    def write(self, key: str, record: Mapping[str, Any]) -> None:
        """Note that a teacher is finished. Its weights must lie there already."""
        path = self.folder / f"{key}.json"
        write_whole(path, json.dumps(record, indent=2))
        if self.path(record).parent == self.folder:
            send(self.path(record))
        send(path)

    @contextmanager
    def lock(self, key: str, given_up: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Held by whoever trains the teacher; the system frees it when that process dies.

        Raises:
            KdsearchError: When whoever waits for it has `given_up`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{key}.lock"
        file = _locked(path, given_up)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            file.close()


def _locked(path: Path, given_up: Callable[[], bool]) -> IO[str]:
    while True:
        file = path.open("w")
        if try_lock(file.fileno(), path):
            return file
        file.close()
        if given_up():
            raise KdsearchError("another process is still training it")
        time.sleep(_LOOK)
