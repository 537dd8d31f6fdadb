"""Files that are whole, or as they were before."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write to, which takes the place of another when all went well.

    Who reads that one meanwhile finds the old or the new, and after an error, or a kill, the old.
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
    """Remove what was left half-written in a folder that nobody writes to now."""
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


def has_weights(path: Path) -> bool:
    """Whether a safetensors file is there and whole; a damaged one is deleted."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy"):
            return True
    except (OSError, SafetensorError):
        path.unlink(missing_ok=True)
        return False
