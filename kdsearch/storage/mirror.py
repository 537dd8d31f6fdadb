"""Uploads in the background: a folder as it changes, and a file as a sign of life."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kdsearch.background import repeated
from kdsearch.errors import KdsearchError, first_line
from kdsearch.storage.bucket import Bucket, bucket_of, files_in, matches, stamp_of
from kdsearch.storage.transfer import peek

_log = logging.getLogger(__name__)

#: Seconds between two scans of a folder that is mirrored, and the most that the last upload may take.
_EVERY, _LAST = 2.0, 60.0
#: Seconds between two signs of life.
_BEAT = 20.0


class _Mirror:
    """A folder whose files are uploaded as they change, and deleted from the bucket as they are here."""

    def __init__(self, folder: Path, bucket: Bucket, without: Sequence[str]) -> None:
        self._folder, self._bucket, self._without = folder, bucket, without
        self._sent: dict[Path, tuple[int, int]] | None = None

    def bring_up_to_date(self) -> None:
        """Upload what is new, delete what is gone. Raises OSError when the bucket cannot be reached."""
        if self._sent is None:
            self._sent = {
                path: stamp
                for path, stamp in self._bucket.unchanged(self._folder)
                # What others send is not ours to delete.
                if not any(matches(part, self._without) for part in path.relative_to(self._folder).parts)
            }
        there = set[Path]()
        for path in files_in(self._folder, self._without):
            there.add(path)
            if (stamp := stamp_of(path)) is not None and self._sent.get(path) != stamp:
                self._sent[path] = self._bucket.upload(path) or stamp
        for path in self._sent.keys() - there:
            self._bucket.delete(self._bucket.there(path))
            del self._sent[path]


@contextmanager
def mirrored(folder: Path, *, without: Sequence[str] = ()) -> Iterator[None]:
    """While open, and once more at the end, upload a folder to its bucket, except what matches `without`.

    Raises:
        KdsearchError: When the bucket could not be reached at the end. The folder is complete.
    """
    if (bucket := bucket_of(folder)) is None:
        yield
        return
    mirror, told = _Mirror(folder, bucket, without), False

    def look() -> float:
        nonlocal told
        try:
            mirror.bring_up_to_date()
            told = False
        except OSError as error:
            if not told:
                _log.warning("%s does not answer; it is sent later (%s)", bucket.address, first_line(error))
            told = True
        return _EVERY

    try:
        with repeated(look, _EVERY):
            yield
    finally:
        _last_time(mirror, bucket, folder)


@contextmanager
def beating(path: Path, overtaken: Callable[[], object]) -> Iterator[None]:
    """While open, a file is sent again and again, so that its age tells whether this process lives.

    Args:
        path: Of the file.
        overtaken: Called, once, when another process has sent a file of another content in its place: from
            then on that one is left alone.
    """
    if (bucket := bucket_of(path)) is None:
        yield
        return
    mine, lost = path.read_text(encoding="utf-8"), False

    def beat() -> float:
        nonlocal lost
        with suppress(OSError):
            if not lost and (there := peek(path)) is not None and there[1] != mine:
                lost = True
                overtaken()
            if not lost:
                bucket.upload(path)
        return _BEAT

    bucket.upload(path)
    with repeated(beat, _BEAT):
        yield


def _last_time(mirror: _Mirror, bucket: Bucket, folder: Path) -> None:
    until = time.monotonic() + _LAST
    while True:
        try:
            return mirror.bring_up_to_date()
        except OSError as error:
            if time.monotonic() > until:
                raise KdsearchError(
                    f"{bucket.address} does not answer ({first_line(error)}); all of it is in {folder}"
                ) from None
            time.sleep(_EVERY)
