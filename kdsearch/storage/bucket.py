"""A bucket and the local folder in front of it: files are copied both ways, with the bucket's times."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

from kdsearch.errors import InputError, first_line

#: The file of a folder that names the bucket behind it.
MARK = ".bucket"
#: Seconds: the precision of times over HTTP, and the most by which clocks of machines may differ.
_CLOSE, _SKEW = 1.0, 60.0


@dataclass(frozen=True)
class Bucket:
    """A bucket and the folder in front of it; `root` is its place in the file system."""

    address: str
    folder: Path
    files: Any
    root: str

    def there(self, path: Path) -> str:
        return f"{self.root}/{path.absolute().relative_to(self.folder).as_posix()}".removesuffix("/.")

    def delete(self, there: str) -> None:
        with suppress(FileNotFoundError):  # another process was faster
            self.files.delete_file(there)

    def download(self, info: Any, target: Path) -> None:
        """Download a file, with its time, unless the local one is as new."""
        try:
            have = target.stat()
            later = seconds(info.mtime) - have.st_mtime
            if later <= 0 or (later <= _CLOSE and have.st_size == info.size):
                return
            if later <= _SKEW and have.st_size > info.size:
                return  # it has grown since it was sent, and the clock here is slow
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with self.files.open_input_stream(info.path) as stream, part.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
            os.utime(part, (seconds(info.mtime),) * 2)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def upload(self, path: Path) -> tuple[int, int] | None:
        """Upload a file, and set its local time to the bucket's, so that it is not downloaded again.

        Returns its time and size; None if it changed meanwhile.
        """
        there, before = self.there(path), stamp_of(path)
        if self.files.type_name == "local":
            self.files.create_dir(there.rpartition("/")[0], recursive=True)
        try:
            with path.open("rb") as file, self.files.open_output_stream(there) as stream:
                shutil.copyfileobj(file, stream, 1 << 20)
        except FileNotFoundError:
            return None  # deleted since it was listed
        (sent,) = self.files.get_file_info([there])
        when, same = int(seconds(sent.mtime) * 1e9), stamp_of(path) == before
        with suppress(FileNotFoundError):
            # A file that changed meanwhile stays newer than its copy in the bucket.
            os.utime(path, ns=(when if same else when + int(2e9 * _CLOSE),) * 2)
        return (when, before[1]) if before and same else None

    def unchanged(self, folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
        """The files of a folder that equal those in the bucket, with their times and sizes."""
        from pyarrow.fs import FileSelector, FileType

        inside = self.files.get_file_info(
            FileSelector(self.there(folder), allow_not_found=True, recursive=True)
        )
        for info in inside:
            path = folder / Path(info.path).relative_to(self.there(folder))
            stamp = stamp_of(path) if info.type == FileType.File else None
            if stamp and stamp[1] == info.size and abs(stamp[0] / 1e9 - seconds(info.mtime)) <= _CLOSE:
                yield path, stamp


#: Folders that have no bucket for this process any more.
_disowned: set[Path] = set()


def disown(folder: Path) -> None:
    """Treat a folder as a plain one from now on: what is in the bucket belongs to another process."""
    _disowned.add(folder.absolute())


def own(folder: Path) -> None:
    """Undo `disown`."""
    _disowned.discard(folder.absolute())


def bucket_of(path: Path) -> Bucket | None:
    """The bucket behind a file or folder; None in a plain folder."""
    if any(path.absolute().is_relative_to(folder) for folder in _disowned):
        return None
    for folder in (path.absolute(), *path.absolute().parents):
        if (folder / MARK).is_file():
            return _opened(folder)
    return None


@lru_cache(maxsize=8)
def _opened(folder: Path) -> Bucket:
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    address = (folder / MARK).read_text(encoding="utf-8")
    try:
        files, root = FileSystem.from_uri(address)
    except (ArrowException, OSError, ValueError) as error:
        raise InputError(f"compute.storage: {address}: {first_line(error)}") from None
    return Bucket(address, folder, files, str(root).rstrip("/"))


def files_in(folder: Path, without: Sequence[str] = ()) -> Iterator[Path]:
    """All complete files below a folder, except those whose name, or folder, matches one of `without`."""
    hidden = (".*", "*.part", *without)
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not matches(name, hidden)]
        yield from (Path(place, name) for name in files if not matches(name, hidden))


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a file name matches one of some patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def stamp_of(path: Path) -> tuple[int, int] | None:
    """The time in nanoseconds and the size in bytes of a file; None where it is gone."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size


def seconds(moment: datetime) -> float:
    """Seconds since 1970."""
    return moment.timestamp()
