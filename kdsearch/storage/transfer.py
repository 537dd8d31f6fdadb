"""Copying files to and from the bucket behind a folder; nothing is done where there is none."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from kdsearch.storage.bucket import bucket_of, files_in, matches, seconds


def fetch(path: Path, *, without: Sequence[str] = ()) -> None:
    """Download a file, or the files of a folder except those that match `without`, if the bucket's are newer.

    Each file has one writer, which must not fetch it: what that is about to send is newer.
    """
    if (bucket := bucket_of(path)) is None:
        return
    from pyarrow.fs import FileSelector, FileType

    there = bucket.there(path)
    (found,) = bucket.files.get_file_info([there])
    if found.type == FileType.Directory:
        inside = bucket.files.get_file_info(FileSelector(there, allow_not_found=True, recursive=True))
    else:
        inside = [found]
    for info in inside:
        if info.type == FileType.File and not matches(info.base_name, without):
            bucket.download(info, path / Path(info.path).relative_to(there) if info.path != there else path)


def send(path: Path, *, without: Sequence[str] = ()) -> None:
    """Upload a file, or the files of a folder except those that match `without`, to the bucket."""
    if (bucket := bucket_of(path)) is None:
        return
    for file in files_in(path, without) if path.is_dir() else [path]:
        bucket.upload(file)


def remove(folder: Path, pattern: str) -> None:
    """Delete the files of a folder whose names match, here and in the bucket."""
    for path in folder.glob(pattern):
        path.unlink(missing_ok=True)
    if (bucket := bucket_of(folder)) is None:
        return
    from pyarrow.fs import FileSelector, FileType

    for info in bucket.files.get_file_info(FileSelector(bucket.there(folder), allow_not_found=True)):
        if info.type == FileType.File and fnmatch(info.base_name, pattern):
            bucket.delete(info.path)


def remove_folder(folder: Path) -> None:
    """Delete a folder with all that is in it, here and in the bucket."""
    bucket = bucket_of(folder)
    shutil.rmtree(folder, ignore_errors=True)
    if bucket is not None:
        bucket.files.delete_dir_contents(bucket.there(folder), missing_dir_ok=True)


def names(folder: Path) -> list[str]:
    """What lies in a folder, here or in the bucket."""
    here = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
    if (bucket := bucket_of(folder)) is not None:
        from pyarrow.fs import FileSelector

        inside = bucket.files.get_file_info(FileSelector(bucket.there(folder), allow_not_found=True))
        here |= {info.base_name for info in inside}
    return sorted(here)


def peek(path: Path) -> tuple[float, str] | None:
    """The age in seconds and the content of a small file as the bucket has it; None where it has none."""
    if (bucket := bucket_of(path)) is None:
        return None
    (found,) = bucket.files.get_file_info([bucket.there(path)])
    if found.mtime is None or not found.is_file:
        return None
    with bucket.files.open_input_stream(found.path) as stream:
        return time.time() - seconds(found.mtime), stream.read().decode()
