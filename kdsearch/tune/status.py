"""The state of a search, running or ended, as its files tell it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from kdsearch.errors import InputError
from kdsearch.storage import local
from kdsearch.tune.folder import ask_to_stop, find_folder, read_about, searches
from kdsearch.tune.records import Record, read_records
from kdsearch.tune.search_lock import runner


@dataclass(frozen=True)
class Status:
    """How a search stands: `state` is `running`, `complete`, `failed`, `stopped` or `killed`."""

    name: str
    state: str
    process: str
    reason: str
    counts: Counter[str]
    running: list[Record]
    folder: Path


def status(name: str, storage: Path) -> Status:
    """How a search stands. Raises InputError when there is none of that name."""
    folder = find_folder(storage, name)
    process, about = runner(folder), read_about(folder)
    records = read_records(folder / "trials")
    # A search writes how it ended, unless it was killed.
    ended = str(about.get("state", "running")).replace("running", "killed")
    return Status(
        name=name,
        state="running" if process else ended,
        process=process or "",
        reason=str(about.get("reason", "")),
        counts=Counter(record.state for record in records),
        running=[record for record in records if record.state == "running"],
        folder=folder,
    )


def actual_state(name: str, storage: str, uid: str) -> str:
    """The true state, as a predicate, of a search that MLflow has as running: a killed one could not report.

    Args:
        name: Of the search.
        storage: Its storage, which this machine may not have.
        uid: Of its run in MLflow: the folder here may be of another search of that name.
    """
    unknown = f"still runs, or was killed: `kdsearch status {name}` tells, where its folder is"
    try:
        folder = searches(local(storage)) / name
        about = read_about(folder)
        if not about or (about.get("uid") or uid) != uid:
            return unknown
        if runner(folder) is not None:
            return "still runs"
    except (OSError, InputError):  # a folder of somebody else's, a bucket that is away
        return unknown
    if (state := about.get("state")) != "running":
        return f"is {state}, which MLflow was not told: `kdsearch sync {name}` tells it"
    return f"was killed: --resume {name} goes on with it"


def stop(name: str, storage: Path) -> None:
    """Ask a running search to stop as Ctrl-C does. Raises InputError when it does not run."""
    folder = find_folder(storage, name)
    if runner(folder) is None:
        raise InputError(f"search '{name}' does not run")
    ask_to_stop(folder)
