"""The folder of a search: making or finding it, what it says of the search, and requests to stop."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kdsearch.errors import InputError, nearest
from kdsearch.filenames import CHECKPOINT, SPEC
from kdsearch.files import sweep
from kdsearch.spec import Spec, load_spec
from kdsearch.storage import check, fetch, names, remove, remove_folder, send
from kdsearch.tune.records import write_json
from kdsearch.tune.search_lock import LOCK, STOP, describe_holder, held, holder, is_locked_here, runner

ABOUT, LOG = "search.json", "log.txt"
#: Folders that Ray fills.
RAYS = ("train", "tune")
#: How folders begin in which untrained students are measured: a killed search leaves them.
UNTRAINED = "untrained-"


def searches(storage: Path) -> Path:
    """The folder that holds a folder for each search."""
    return storage / "searches"


def find_folder(storage: Path, name: str) -> Path:
    """The folder of a search. Raises InputError, with the nearest name, when there is none."""
    folder = searches(storage) / name
    if not is_locked_here(folder):  # otherwise all of it is here
        fetch(folder, without=(LOCK, CHECKPOINT))
    if not (folder / SPEC).is_file():
        known = names(searches(storage))
        raise InputError(f"no search '{name}' in {searches(storage)}{nearest(name, known)}")
    return folder


@contextmanager
def new_folder(storage: Path, wished: str, given: str | None) -> Iterator[Path]:
    """Make a new folder and hold its lock. It is removed again when nothing was written to it.

    Raises:
        InputError: When the name that was given is taken, or not valid.
    """
    if given is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", given):
        raise InputError(f"--name {given}: expected letters, digits, '_', '.' and '-'")
    ours = [path for path in (searches(storage), storage) if not path.exists()]
    searches(storage).mkdir(parents=True, exist_ok=True)
    number, folder = 1, searches(storage) / (given or wished)
    while not _made(folder):
        if given is not None:
            process = runner(folder)
            more = f"it runs in process {process}" if process else f"--resume {given} goes on with it"
            raise InputError(f"--name {given}: there is a search of this name in {searches(storage)}; {more}")
        number += 1
        folder = searches(storage) / f"{wished}-{number}"
    try:
        with held(folder):
            yield folder
    finally:
        with suppress(OSError):  # it is not empty: something was begun
            for path in (folder, *ours):
                path.rmdir()


@contextmanager
def old_folder(storage: Path, name: str, work: str = "") -> Iterator[Path]:
    """Hold the lock of the folder of an earlier search.

    Args:
        storage: Where it is.
        name: Of the search.
        work: The command that holds it; the search itself by default.

    Raises:
        InputError: When there is none of that name, or another process holds it.
    """
    folder = find_folder(storage, name)
    with held(folder, work):
        for place in (folder, *folder.glob("confirm/*")):
            sweep(place)
        for left in folder.glob(f"{UNTRAINED}*"):
            remove_folder(left)
        remove(folder, STOP)
        yield folder


@contextmanager
def any_folder(storage: Path, name: str, work: str) -> Iterator[Path]:
    """Hold the lock of a search's folder for the command `work`; it is made where this machine has none."""
    folder = searches(storage) / name
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder, work):
        fetch(folder, without=(LOCK, CHECKPOINT))
        yield folder


def check_same_space(folder: Path, spec: Spec) -> None:
    """Raise InputError when a search was begun with another space: its trials would not be comparable."""
    if changed := _changed(folder, spec):
        raise InputError(
            f"--resume {folder.name}: it was begun with another {', '.join(changed)}; "
            f"see {folder / SPEC}, or give the new search another name"
        )


def _changed(folder: Path, spec: Spec) -> list[str]:
    """The keys in which an earlier search differs from `spec`, of those that its trials depend on."""
    earlier, given = load_spec(folder / SPEC).plain(), spec.plain()
    fixed = {
        key: (earlier[key], given[key]) for key in earlier if key not in ("search", "compute", "tracking")
    }
    fixed["search.seed"] = (earlier["search"]["seed"], given["search"]["seed"])
    return [key for key, (before, now) in fixed.items() if before != now]


def check_storage(storage: Path) -> None:
    """Raise InputError unless the folder, and its bucket, can be written; makes nothing."""
    check(storage)
    above = storage.absolute()
    while not above.exists():
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"compute.storage: {storage} cannot be written: {above} is no folder of yours")


def write_about(folder: Path, **changes: Any) -> None:
    """Set keys of the file about the search as a whole."""
    write_json(folder / ABOUT, {**read_about(folder), **changes})


def read_about(folder: Path) -> Mapping[str, Any]:
    """The file about the search as a whole; empty where it cannot be read.

    `state`, `experiment`, `tags`, `reason`, and `uid`, that of its run in MLflow.
    """
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def begun_before(storage: Path, spec: Spec) -> str | None:
    """The latest search that the same command began, if it is unfinished and so should be resumed.

    Raises:
        InputError: When it still runs.
    """
    numbered = re.compile(re.escape(spec.name) + r"(?:-(\d+))?")
    found = filter(None, map(numbered.fullmatch, names(searches(storage))))
    for name in sorted((match.group() for match in found), key=lambda name: (len(name), name), reverse=True):
        folder = searches(storage) / name
        with suppress(OSError):
            fetch(folder / SPEC)
            fetch(folder / ABOUT)
        try:
            if _changed(folder, spec):
                continue
        except InputError:  # it cannot be read, or a part of it is no longer there
            continue
        if (who := holder(folder)) is not None:
            raise InputError(f"{describe_holder(folder, *who)}; --name NAME begins another beside it")
        return name if read_about(folder).get("state", "complete") != "complete" else None
    return None


def ask_to_stop(folder: Path) -> None:
    """Ask whoever runs the search to stop it, as Ctrl-C does."""
    (folder / STOP).touch()
    send(folder / STOP)


def asked_to_stop(folder: Path) -> bool:
    """Whether that was asked since the last call."""
    with suppress(OSError):
        fetch(folder / STOP)
    if not (folder / STOP).exists():
        return False
    with suppress(OSError):
        remove(folder, STOP)
    return True


def tidy(folder: Path) -> None:
    """Remove what Ray left in the folder of a search that is over."""
    for name in RAYS:
        remove_folder(folder / name)


def _made(folder: Path) -> bool:
    made = not folder.exists()
    try:
        folder.mkdir()
    except FileExistsError:
        # It may be left by a search that was killed before it began.
        if not (folder / LOCK).exists():
            return False
    if set(names(folder)) - {LOCK, *RAYS} or holder(folder) is not None:
        if made:
            folder.rmdir()
        return False
    tidy(folder)
    return True
