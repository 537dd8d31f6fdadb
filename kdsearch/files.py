"""Files that are replaced as a whole or not at all, and files that one process at a time may hold."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file to write to, which replaces `path` when the block ends without an error.

    Readers of `path` find either the old content or the new; after an error or a kill, the old.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text as `replacing` does."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def sweep(folder: Path) -> None:
    """Remove the temporary files of writers that were killed. Nobody may be writing to the folder."""
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


def has_weights(path: Path) -> bool:
    """Whether a safetensors file is there and whole; a damaged one is deleted."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy"):
            return True
    except FileNotFoundError:
        return False
    except SafetensorError:
        path.unlink(missing_ok=True)
        return False


def try_lock(file: int, path: Path, *, wait: bool = False) -> bool:
    """Lock an open file for this process; the system unlocks it when the file is closed, or the process ends.

    Args:
        file: The descriptor of what was opened at `path`.
        path: Where it was found.
        wait: Wait for a process that holds the lock.

    Returns:
        False when another process holds it, or when its last holder has removed or replaced the file at
        `path` between our opening and our locking it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return is_at(file, path)


def is_at(file: int, path: Path) -> bool:
    """Whether an open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
