"""The lock of a search: one process at a time runs it, confirms it or synchronises it.

It is a file in the search's folder, which the system unlocks when its process dies. In a bucket it is sent
again and again: there its age tells whether a process on another machine is alive.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from kdsearch.errors import InputError
from kdsearch.files import try_lock
from kdsearch.storage import beating, disown, own, peek, remove

_log = logging.getLogger(__name__)

#: In the folder of a search: `pid on host` and, where the holder is not the search, its command on a line.
LOCK = "lock"
#: In the folder of a search: somebody asks it to stop.
STOP = "stop"
#: Seconds without a sign of life after which a process on another machine is taken for dead.
_DEAD = 60.0
#: Seconds after which, of two machines that take a lock at once, both see whose it is.
_SETTLING = 1.0
#: Attempts to take a lock, and the seconds between two: `runner` may be holding it just now.
_ATTEMPTS, _PAUSE = 3, 0.05


def runner(folder: Path) -> str | None:
    """Which process runs a search, as `pid on host`; None when nobody does."""
    process, command = holder(folder) or ("", "")
    return process if process and not command else None


def holder(folder: Path) -> tuple[str, str] | None:
    """Which process holds a search, as `pid on host`, and its command: '' for the search itself."""
    if (here := _locked_by(folder)) is not None:
        return _parsed(here)
    age, text = peek(folder / LOCK) or (math.inf, "")
    elsewhere = not _parsed(text)[0].endswith(f" on {socket.gethostname()}")
    return _parsed(text) if elsewhere and age < _DEAD else None


def is_locked_here(folder: Path) -> bool:
    """Whether a process holds the lock in this very folder."""
    return _locked_by(folder) is not None


def describe_holder(folder: Path, process: str, command: str = "") -> str:
    """A sentence that says who holds a search."""
    holds = f"is held by `kdsearch {command}`, which runs" if command else "runs"
    return f"search '{folder.name}' {holds} in process {process}"


@contextmanager
def held(folder: Path, command: str = "") -> Iterator[None]:
    """Hold the lock of a search while open.

    Args:
        folder: Of the search.
        command: That holds it; '' for the search itself.

    Raises:
        InputError: When another process holds it.
    """
    if (who := holder(folder)) is not None:
        raise InputError(_taken(folder, *who))
    own(folder)
    path = folder / LOCK
    mine = f"{os.getpid()} on {socket.gethostname()}" + (f"\n{command}" if command else "")
    file = _lock(path)

    def overtaken() -> None:
        _log.warning("another machine has taken search '%s' over: it stops here", folder.name)
        disown(folder)
        (folder / STOP).touch()

    try:
        file.truncate(0)
        file.write(mine)
        file.flush()
        with beating(path, overtaken):
            # Of two that began at once, the bucket has the sign of life of the later.
            if peek(path) is not None:
                time.sleep(_SETTLING)
            if (other := _other(path, mine)) is not None:
                raise InputError(_taken(folder, *_parsed(other)))
            yield
    finally:
        with suppress(OSError):
            if _other(path, mine) is None:
                remove(folder, LOCK)
            else:
                path.unlink()
        file.close()


def _other(path: Path, mine: str) -> str | None:
    """What the lock says in the bucket, where it is another's."""
    there = peek(path)
    return None if there is None or there[1] == mine else there[1]


def _lock(path: Path) -> IO[str]:
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE)
        file = path.open("a+", encoding="utf-8")
        if try_lock(file.fileno(), path):
            return file
        file.seek(0)
        who = file.read() or "another process"
        file.close()
    raise InputError(_taken(path.parent, *_parsed(who)))


def _taken(folder: Path, process: str, command: str = "") -> str:
    return f"{describe_holder(folder, process, command)}; try again when that has ended"


def _locked_by(folder: Path) -> str | None:
    """The text of the lock in this very folder, where a process holds it."""
    try:
        with (folder / LOCK).open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read() or "unknown"
    except FileNotFoundError:
        pass
    return None


def _parsed(text: str) -> tuple[str, str]:
    process, _, command = text.partition("\n")
    return process, command
