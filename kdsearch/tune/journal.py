"""A study in a journal file that one process keeps: it asks for no lock, and goes through nothing twice.

The search holds a lock on its folder. No line waits for the disk: what a node that loses its power takes with
it is entered again from the records of the trials.
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
    """A journal in the form of Optuna's `JournalFileBackend`, of which only what is new is read.

    Args:
        path: Of the file. Each of its lines is whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a+b", buffering=0)
        self._read = self._own = 0
        self._first, self._lines = 0, list[dict[str, Any]]()
        #: Whether lines came that another process wrote, as Optuna's dashboard does.
        self.foreign = False

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The logs from that number on. Those before it are not asked for again."""
        data = os.pread(self._file.fileno(), self._size() - self._read, self._read)
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        self.foreign = self.foreign or len(whole) != self._own
        self._own = 0
        del self._lines[: log_number_from - self._first]
        self._first = log_number_from
        self._lines += map(json.loads, whole.splitlines())
        yield from tuple(self._lines)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write them, all or none. Raises OSError, where the file system tells at once."""
        data = "".join(f"{json.dumps(log, separators=(',', ':'))}\n" for log in logs).encode()
        size = self._size()
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        except OSError:
            self._file.truncate(size)
            raise
        self._own += len(data)

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size


class OwnJournal(JournalStorage):  # type: ignore[misc]
    """The storage of one study in a journal that is this process's own; for one thread.

    Optuna's samplers list all trials, or those that wait, several times for each that they suggest. A trial
    that has ended never changes, so only the others are looked at again.
    """

    def __init__(self, path: Path) -> None:
        self._journal = OwnFile(path)
        super().__init__(self._journal)
        self._listed: list[FrozenTrial] = []
        #: By place in that list, the ids of those that had not ended when they were looked at last.
        self._open: dict[int, int] = {}

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """As Optuna's."""
        trial = int(super().create_new_trial(study_id, template_trial))
        if self._listed and not self._journal.foreign:
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
        for place, trial in list(self._open.items()):
            self._listed[place] = found = self.get_trial(trial)
            if found.state.is_finished():
                del self._open[place]
        if not self._listed or self._journal.foreign:
            self._journal.foreign = False
            self._listed = super().get_all_trials(study_id, deepcopy=False)
            self._open = {
                place: trial._trial_id
                for place, trial in enumerate(self._listed)
                if not trial.state.is_finished()
            }
