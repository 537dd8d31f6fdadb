"""What the files of a search say of it, while it runs or afterwards, without touching them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from kdsearch.errors import InputError
from kdsearch.tune.folder import ask_to_stop, find_folder, read_about, runner
from kdsearch.tune.records import Record, read_records


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
    # Who ends in time says how; who was killed could not.
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


def stop(name: str, storage: Path) -> None:
    """Ask a running search to stop as Ctrl-C does. Raises InputError when it does not run."""
    folder = find_folder(storage, name)
    if runner(folder) is None:
        raise InputError(f"search '{name}' does not run")
    ask_to_stop(folder)
