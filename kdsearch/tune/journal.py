"""A study in a journal file that one process keeps: it asks for no lock, and reads nothing twice.

The search holds a lock on its folder, so that nobody else writes here. What a node that loses its power takes
with it is entered again from the records of the trials.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_ENDED = [state for state in TrialState if state.is_finished()]


class OwnFile(BaseJournalBackend):  # type: ignore[misc]
    """A journal in the form of Optuna's `JournalFileBackend`, read from the disk once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._before = path.read_bytes().count(b"\n")
        self._later: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The logs from that number on: those of this process are at hand until they have been read."""
        if log_number_from < self._before:
            yield from map(json.loads, self._path.read_bytes().splitlines()[log_number_from:])
            return
        del self._later[: log_number_from - self._before]
        self._before = log_number_from
        yield from tuple(self._later)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write them, all or none. Raises OSError."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        data, size = "".join(f"{line}\n" for line in lines).encode(), self._path.stat().st_size
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        except OSError:
            self._file.truncate(size)
            raise
        self._later += map(json.loads, lines)


class OwnJournal(JournalStorage):  # type: ignore[misc]
    """The storage of one study in a journal that is this process's own.

    Optuna's samplers list all trials, or those that wait, several times for each that they suggest. A trial
    that has ended never changes, so only the others are looked at again.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(OwnFile(path))
        self._listed: list[FrozenTrial] = []
        #: By place in that list, the ids of those that had not ended when they were looked at last.
        self._open: dict[int, int] = {}

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """As Optuna's."""
        self._list(study_id)
        trial = int(super().create_new_trial(study_id, template_trial))
        self._open[len(self._listed)] = trial
        self._listed.append(self.get_trial(trial))
        return trial

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """As Optuna's."""
        if deepcopy:
            return list(super().get_all_trials(study_id, deepcopy, states))
        self._list(study_id)
        if states is None:
            return list(self._listed)
        places = range(len(self._listed)) if any(state in states for state in _ENDED) else self._open
        return [self._listed[place] for place in places if self._listed[place].state in states]

    def _list(self, study_id: int) -> None:
        if not self._listed:
            self._listed = super().get_all_trials(study_id, deepcopy=False)
            self._open = {place: trial._trial_id for place, trial in enumerate(self._listed)}
        for place, trial in list(self._open.items()):
            self._listed[place] = found = self.get_trial(trial)
            if found.state.is_finished():
                del self._open[place]
