"""Where searches keep their files: a folder, or a bucket in front of which each node has a folder of its own.

All code works on folders. What other nodes, or a later search, need of one is sent to the bucket, and fetched
from there. Where the storage is a plain folder, `fetch`, `send` and `remove` have nothing to do there.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

from kdsearch.errors import InputError, KdsearchError

_log = logging.getLogger(__name__)

#: Of addresses that are buckets. `file` is a folder that stands for one.
SCHEMES = ("s3", "gs", "file")
#: Names the folder that holds the folders in front of buckets, by default `~/.cache/kdsearch`.
CACHE = "KDSEARCH_CACHE"
_MARK = ".bucket"
#: Seconds between two looks for what is new in a folder that is mirrored, and for the rest at its end.
_EVERY, _LAST = 2.0, 60.0
#: Seconds between two signs of life.
_BEAT = 20.0
#: Seconds: HTTP tells when an object was written no closer, and the clocks of machines differ by no more.
_CLOSE, _SKEW = 1.0, 60.0


def is_bucket(storage: str | Path) -> bool:
    """Whether a storage is an address."""
    return "://" in str(storage)


def local(storage: str | Path) -> Path:
    """The folder of a storage on this node."""
    address = str(storage)
    if not is_bucket(address):
        return Path(storage)
    caches = Path(os.environ.get(CACHE) or Path.home() / ".cache/kdsearch")
    folder = caches / hashlib.sha256(address.encode()).hexdigest()[:12]
    if not (folder / _MARK).exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{_MARK}.{os.getpid()}"
        part.write_text(address, encoding="utf-8")
        part.replace(folder / _MARK)
    return folder


def address_of(path: Path) -> str | None:
    """The address of a file or folder of a bucket; None in a plain folder."""
    bucket = _bucket_of(path)
    if bucket is None:
        return None
    if path.absolute() == bucket.folder:
        return bucket.address
    place, mark, options = bucket.address.partition("?")
    return f"{place.rstrip('/')}/{path.absolute().relative_to(bucket.folder).as_posix()}{mark}{options}"


def check(storage: Path) -> None:
    """Raise InputError unless the bucket of a folder can be written."""
    if (bucket := _bucket_of(storage)) is None:
        return
    probe = storage / f".probe-{os.getpid()}"
    try:
        probe.write_text("kdsearch", encoding="utf-8")
        send(probe)
        remove(storage, probe.name)
    except OSError as error:
        raise InputError(f"compute.storage: {bucket.address} cannot be written: {_first(error)}") from None
    finally:
        probe.unlink(missing_ok=True)


def fetch(path: Path, *, without: Sequence[str] = ()) -> None:
    """Bring a file, or the files of a folder but for those of some names, where the bucket has newer ones.

    A file belongs to who makes it, and nobody fetches their own: what they are about to send is newer.
    """
    if (bucket := _bucket_of(path)) is None:
        return
    from pyarrow.fs import FileSelector, FileType

    there = bucket.there(path)
    (found,) = bucket.files.get_file_info([there])
    if found.type == FileType.Directory:
        inside = bucket.files.get_file_info(FileSelector(there, allow_not_found=True, recursive=True))
    else:
        inside = [found]
    for info in inside:
        if info.type == FileType.File and not _matches(info.base_name, without):
            bucket.download(info, path / Path(info.path).relative_to(there) if info.path != there else path)


def send(path: Path, *, without: Sequence[str] = ()) -> None:
    """Put a file, or the files of a folder but for those of some names, into the bucket."""
    if (bucket := _bucket_of(path)) is None:
        return
    for file in _files(path, without) if path.is_dir() else [path]:
        bucket.upload(file)


def remove(folder: Path, pattern: str) -> None:
    """Delete the files of a folder whose names match, here and in the bucket."""
    for path in folder.glob(pattern):
        path.unlink(missing_ok=True)
    if (bucket := _bucket_of(folder)) is None:
        return
    from pyarrow.fs import FileSelector, FileType

    for info in bucket.files.get_file_info(FileSelector(bucket.there(folder), allow_not_found=True)):
        if info.type == FileType.File and fnmatch(info.base_name, pattern):
            bucket.delete(info.path)


def remove_folder(folder: Path) -> None:
    """Delete a folder with all that is in it, here and in the bucket."""
    bucket = _bucket_of(folder)
    shutil.rmtree(folder, ignore_errors=True)
    if bucket is not None:
        bucket.files.delete_dir_contents(bucket.there(folder), missing_dir_ok=True)


def names(folder: Path) -> list[str]:
    """What lies in a folder, here or in the bucket."""
    here = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
    if (bucket := _bucket_of(folder)) is not None:
        from pyarrow.fs import FileSelector

        inside = bucket.files.get_file_info(FileSelector(bucket.there(folder), allow_not_found=True))
        here |= {info.base_name for info in inside}
    return sorted(here)


def peek(path: Path) -> tuple[float, str] | None:
    """The age in seconds and the content of a small file as the bucket has it; None where it has none."""
    if (bucket := _bucket_of(path)) is None:
        return None
    (found,) = bucket.files.get_file_info([bucket.there(path)])
    if found.mtime is None or not found.is_file:
        return None
    with bucket.files.open_input_stream(found.path) as stream:
        return time.time() - _seconds(found.mtime), stream.read().decode()


class _Mirror:
    """A folder whose files go to the bucket as they change, and leave it as they are deleted."""

    def __init__(self, folder: Path, bucket: _Bucket, without: Sequence[str]) -> None:
        self._folder, self._bucket, self._without = folder, bucket, without
        self._sent: dict[Path, tuple[int, int]] | None = None

    def bring_up_to_date(self) -> None:
        """Send what is new, delete what is gone. Raises OSError when the bucket is away."""
        if self._sent is None:
            self._sent = {
                path: stamp
                for path, stamp in self._bucket.unchanged(self._folder)
                # What others send is not ours to delete.
                if not any(_matches(part, self._without) for part in path.relative_to(self._folder).parts)
            }
        there = set[Path]()
        for path in _files(self._folder, self._without):
            there.add(path)
            if (stamp := _stamp(path)) is not None and self._sent.get(path) != stamp:
                self._sent[path] = self._bucket.upload(path) or stamp
        for path in self._sent.keys() - there:
            self._bucket.delete(self._bucket.there(path))
            del self._sent[path]


@contextmanager
def mirrored(folder: Path, *, without: Sequence[str] = ()) -> Iterator[None]:
    """While open, and once more at its end, a folder goes to its bucket, but for what has one of some names.

    Raises:
        KdsearchError: When the bucket could not be reached at the end. The folder is complete.
    """
    if (bucket := _bucket_of(folder)) is None:
        yield
        return
    mirror, told = _Mirror(folder, bucket, without), False

    def look() -> None:
        nonlocal told
        try:
            mirror.bring_up_to_date()
            told = False
        except OSError as error:
            if not told:
                _log.warning("%s does not answer; it is sent later (%s)", bucket.address, _first(error))
            told = True

    try:
        with _repeated(look, _EVERY):
            yield
    finally:
        _last_time(mirror, bucket, folder)


@contextmanager
def beating(path: Path) -> Iterator[None]:
    """While open, a file is sent again and again, so that its age tells whether this process lives."""
    if (bucket := _bucket_of(path)) is None:
        yield
        return

    def beat() -> None:
        with suppress(OSError):
            bucket.upload(path)

    bucket.upload(path)
    with _repeated(beat, _BEAT):
        yield


@contextmanager
def _repeated(call: Callable[[], None], seconds: float) -> Iterator[None]:
    """While open, something is called every so many seconds, in a thread."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            call()

    thread = threading.Thread(target=run, name=f"kdsearch-{call.__name__}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _last_time(mirror: _Mirror, bucket: _Bucket, folder: Path) -> None:
    until = time.monotonic() + _LAST
    while True:
        try:
            return mirror.bring_up_to_date()
        except OSError as error:
            if time.monotonic() > until:
                raise KdsearchError(
                    f"{bucket.address} does not answer ({_first(error)}); all of it is in {folder}"
                ) from None
            time.sleep(_EVERY)


@dataclass(frozen=True)
class _Bucket:
    """A bucket and the folder in front of it; `root` is its place in the file system."""

    address: str
    folder: Path
    files: Any
    root: str

    def there(self, path: Path) -> str:
        return f"{self.root}/{path.absolute().relative_to(self.folder).as_posix()}".removesuffix("/.")

    def delete(self, there: str) -> None:
        with suppress(FileNotFoundError):  # somebody else was faster
            self.files.delete_file(there)

    def download(self, info: Any, target: Path) -> None:
        """Bring a file here unless the one here is as new, and give it its time."""
        try:
            have = target.stat()
            later = _seconds(info.mtime) - have.st_mtime
            if later <= 0 or (later <= _CLOSE and have.st_size == info.size):
                return
            if later <= _SKEW and have.st_size > info.size:
                return  # grown since it was sent, by a clock that is slow
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with self.files.open_input_stream(info.path) as stream, part.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
            os.utime(part, (_seconds(info.mtime),) * 2)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def upload(self, path: Path) -> tuple[int, int] | None:
        """Send a file, and give it the time that it has there: nobody need fetch what they sent.

        Returns its time and size, unless it changed meanwhile.
        """
        there, before = self.there(path), _stamp(path)
        if self.files.type_name == "local":
            self.files.create_dir(there.rpartition("/")[0], recursive=True)
        try:
            with path.open("rb") as file, self.files.open_output_stream(there) as stream:
                shutil.copyfileobj(file, stream, 1 << 20)
        except FileNotFoundError:
            return None  # deleted since it was listed
        (sent,) = self.files.get_file_info([there])
        when, same = int(_seconds(sent.mtime) * 1e9), _stamp(path) == before
        with suppress(FileNotFoundError):
            # What changed while it was sent stays newer than what is there.
            os.utime(path, ns=(when if same else when + int(2e9 * _CLOSE),) * 2)
        return (when, before[1]) if before and same else None

    def unchanged(self, folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
        """The files of a folder that are as the bucket has them, with their times and sizes."""
        from pyarrow.fs import FileSelector, FileType

        inside = self.files.get_file_info(
            FileSelector(self.there(folder), allow_not_found=True, recursive=True)
        )
        for info in inside:
            path = folder / Path(info.path).relative_to(self.there(folder))
            stamp = _stamp(path) if info.type == FileType.File else None
            if stamp and stamp[1] == info.size and abs(stamp[0] / 1e9 - _seconds(info.mtime)) <= _CLOSE:
                yield path, stamp


def _bucket_of(path: Path) -> _Bucket | None:
    for folder in (path.absolute(), *path.absolute().parents):
        if (folder / _MARK).is_file():
            return _opened(folder)
    return None


@lru_cache(maxsize=8)
def _opened(folder: Path) -> _Bucket:
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    address = (folder / _MARK).read_text(encoding="utf-8")
    try:
        files, root = FileSystem.from_uri(address)
    except (ArrowException, OSError, ValueError) as error:
        raise InputError(f"compute.storage: {address}: {_first(error)}") from None
    return _Bucket(address, folder, files, str(root).rstrip("/"))


def _files(folder: Path, without: Sequence[str] = ()) -> Iterator[Path]:
    """All files of a folder that are whole, but for those of some names, or in folders of these."""
    hidden = (".*", "*.part", *without)
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _matches(name, hidden)]
        yield from (Path(place, name) for name in files if not _matches(name, hidden))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _seconds(moment: datetime) -> float:
    return moment.timestamp()


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
