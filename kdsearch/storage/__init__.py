"""Where searches keep their files: a folder, or a bucket in front of which each node has a folder of its own.

All code works on folders. What other nodes, or a later search, need of one is sent to the bucket, and fetched
from there. Where the storage is a plain folder, nothing of this package does anything.
"""

from __future__ import annotations

from kdsearch.storage.bucket import disown, own
from kdsearch.storage.mirror import beating, mirrored
from kdsearch.storage.place import CACHE, SCHEMES, address_of, check, is_bucket, local
from kdsearch.storage.transfer import fetch, names, peek, remove, remove_folder, send

__all__ = [
    "CACHE",
    "SCHEMES",
    "address_of",
    "beating",
    "check",
    "disown",
    "fetch",
    "is_bucket",
    "local",
    "mirrored",
    "names",
    "own",
    "peek",
    "remove",
    "remove_folder",
    "send",
]
