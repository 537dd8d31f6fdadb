"""Where the storage is: a folder, or a bucket by its address and the folder in front of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from kdsearch.errors import InputError, first_line
from kdsearch.files import write_whole
from kdsearch.storage.bucket import MARK, bucket_of
from kdsearch.storage.transfer import remove, send

#: Schemes of the addresses of buckets; `file` is a folder that is used like one.
SCHEMES = ("s3", "gs", "file")
#: The environment variable that names the folder for local copies of buckets: `~/.cache/kdsearch` by default.
CACHE = "KDSEARCH_CACHE"


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
    if not (folder / MARK).exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / MARK, address)
    return folder


def address_of(path: Path) -> str | None:
    """The address of a file or folder of a bucket; None in a plain folder."""
    bucket = bucket_of(path)
    if bucket is None:
        return None
    if path.absolute() == bucket.folder:
        return bucket.address
    place, mark, options = bucket.address.partition("?")
    return f"{place.rstrip('/')}/{path.absolute().relative_to(bucket.folder).as_posix()}{mark}{options}"


def check(storage: Path) -> None:
    """Raise InputError unless the bucket of a folder can be written."""
    if (bucket := bucket_of(storage)) is None:
        return
    probe = storage / f".probe-{os.getpid()}"
    try:
        probe.write_text("kdsearch", encoding="utf-8")
        send(probe)
        remove(storage, probe.name)
    except OSError as error:
        raise InputError(
            f"compute.storage: {bucket.address} cannot be written: {first_line(error)}"
        ) from None
    finally:
        probe.unlink(missing_ok=True)
