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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from functools import lru_cache
from itertools import count
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
#: Every so many looks a sign of life is sent.
_BEAT = 10
#: Seconds: HTTP tells when an object was written no closer.
_CLOSE = 1.0


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
        (folder / _MARK).write_text(address, encoding="utf-8")
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
    """Raise InputError unless the bucket of a folder can be written, and what was written read."""
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


def fetch(path: Path) -> None:
    """Bring a file, or all files of a folder, here as far as the bucket has newer ones."""
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
        if info.type == FileType.File:
            bucket.download(info, path / Path(info.path).relative_to(there) if info.path != there else path)


def send(path: Path) -> None:
    """Put a file, or all files of a folder, into the bucket."""
    if (bucket := _bucket_of(path)) is None:
        return
    for file in _files(path) if path.is_dir() else [path]:
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


class Mirror:
    """A folder whose files go to the bucket as they change, and leave it as they are deleted."""

    def __init__(self, folder: Path, bucket: _Bucket, without: tuple[str, ...]) -> None:
        self._folder, self._bucket, self._without = folder, bucket, without
        self._sent: dict[Path, tuple[int, int]] = {}

    def bring_up_to_date(self) -> None:
        """Send what is new, delete what is gone. Raises OSError when the bucket is away."""
        there = set[Path]()
        for path in _files(self._folder, self._without):
            there.add(path)
            if (stamp := _stamp(path)) is not None and self._sent.get(path) != stamp:
                self._sent[path] = self._bucket.upload(path) or stamp
        for path in self._sent.keys() - there:
            self._bucket.delete(self._bucket.there(path))
            del self._sent[path]


@contextmanager
def mirrored(folder: Path, *, without: tuple[str, ...] = (), beat: str = "") -> Iterator[None]:
    """While open, and once more at its end, a folder goes to its bucket, but for folders of some names.

    The file `beat` is sent again and again, so that its age tells whether this process lives.

    Raises:
        KdsearchError: When the bucket could not be reached at the end. The folder is complete.
    """
    if (bucket := _bucket_of(folder)) is None:
        yield
        return
    mirror, over, told = Mirror(folder, bucket, without), threading.Event(), False

    def run() -> None:
        nonlocal told
        for turn in count():
            if over.wait(_EVERY):
                return
            try:
                if beat and turn % _BEAT == 0:
                    bucket.upload(folder / beat)
                mirror.bring_up_to_date()
                told = False
            except OSError as error:
                if not told:
                    _log.warning("%s does not answer; it is sent later (%s)", bucket.address, _first(error))
                told = True

    thread = threading.Thread(target=run, name="kdsearch-mirror", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _last_time(mirror, bucket, folder)


def _last_time(mirror: Mirror, bucket: _Bucket, folder: Path) -> None:
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
        same = _stamp(path) == before
        with suppress(FileNotFoundError):
            # What changed while it was sent stays newer than what is there.
            os.utime(path, (_seconds(sent.mtime) + (0.0 if same else 2 * _CLOSE),) * 2)
        return _stamp(path) if same else None


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


def _files(folder: Path, without: tuple[str, ...] = ()) -> Iterator[Path]:
    """All files of a folder that are whole."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in without and not name.startswith(".")]
        yield from (
            Path(place, name) for name in files if not name.startswith(".") and not name.endswith(".part")
        )


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
