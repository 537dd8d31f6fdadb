"""A search written to MLflow while it runs, without ever blocking it.

Every method only notes what is to be written, and returns. One daemon thread writes it, in few calls per run.
A store that does not answer is tried again, less and less often, until it does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Literal

from kdsearch.spec.secrets import scrub
from kdsearch.tracking import names
from kdsearch.tracking.roster import Roster
from kdsearch.tracking.sink import Sink
from kdsearch.tracking.store import check_uri, public_uri
from kdsearch.tracking.work import Point, Remove, Text, Upload, Work, now
from kdsearch.types import State

_log = logging.getLogger("kdsearch.tracking")

_GATHER = 0.2
"""Seconds between the first note and its writing, in which others may join its batch."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
"""Seconds between two attempts to reach a store: they double from the one to the other."""


class Writer:
    """The writer of one search. A trial's run is addressed by the trial's uid, the parent run by None.

    Args:
        uri: MLflow's tracking address; raises InputError where nothing could ever be written.
        experiment: The MLflow experiment, one for each project.
        search: The name of the search and of its parent run.
        resume: Continue in its parent run, if there is one, instead of a new one.
        uid: Of its parent run. Without it, the newest search of that name is continued.
    """

    def __init__(
        self, uri: str, experiment: str, search: str, *, resume: bool = True, uid: str | None = None
    ) -> None:
        check_uri(uri)
        self._uri = uri
        self._search = search
        self._sink = Sink(Roster(uri, experiment, search, resume=resume, uid=uid))
        self._waiting: dict[str | None, Work] = {}
        self._writing: Work | None = None
        self._changed = Condition()
        self._closing = Event()
        self._patience = self._deadline = float("inf")
        self._after: Callable[[], None] | None = None
        self._thread = Thread(target=self._run, name="kdsearch-mlflow", daemon=True)

    def start(
        self,
        tags: Mapping[str, str],
        artifacts: Mapping[str, str] | None = None,
        *,
        after: Callable[[], None] | None = None,
    ) -> None:
        """Create the parent run, with its tags and its text artifacts by file name, and start to write.

        Importing MLflow and creating a store keep a core busy for six seconds: `after` is called before that,
        in the background, and may block until there is time for it.
        """
        self._after = after
        self._enter(None, "running", tags, name=self._search)
        for file, text in (artifacts or {}).items():
            self.log_text(None, text, file)
        self._thread.start()

    def start_trial(
        self,
        uid: str,
        name: str,
        config: Mapping[str, object],
        tags: Mapping[str, str],
        *,
        at: int | None = None,
    ) -> None:
        """A trial begins, or begins again: `name` is its recipe in words, `config` a spec without domains.

        The config is not copied: it must stay as it is.

        Here and below `at` is when that was, in milliseconds since 1970, by default now. MLflow keeps a
        metric of one moment only once, so all of a search may be logged again.
        """
        self._enter(uid, "running", tags, name=name)
        with self._work(uid) as work:
            work.born, work.config = at or work.born, config

    def log_epoch(
        self, uid: str | None, step: int, metrics: Mapping[str, float], *, at: int | None = None
    ) -> None:
        """Log the metrics of one epoch as `epoch/…`, apart from the final ones."""
        named = {names.EPOCH_PREFIX + key: value for key, value in metrics.items()}
        self.log_metrics(uid, named, step, at=at)

    def log_metrics(
        self, uid: str | None, metrics: Mapping[str, float], step: int = 0, *, at: int | None = None
    ) -> None:
        """Log metrics under their own names; infinite ones are left out."""
        values = {names.metric_key(key): value for key, value in names.finite(metrics).items()}
        with self._work(uid) as work:
            work.points.append(Point(at or now(), step, values))

    def end_trial(
        self,
        uid: str,
        state: Literal["complete", "failed", "stopped"],
        tags: Mapping[str, str],
        *,
        at: int | None = None,
    ) -> None:
        """A trial ended; its final metrics are logged before."""
        self._enter(uid, state, tags, at=at)

    def set_tags(self, uid: str | None, tags: Mapping[str, str]) -> None:
        """Set tags; the last value of each wins."""
        with self._work(uid) as work:
            work.tags |= {key: names.clip(str(value), names.LONGEST_TAG) for key, value in tags.items()}

    def set_experiment_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the experiment, such as the views that its page offers."""
        with self._work(None) as work:
            work.shared |= tags

    def log_artifact(self, uid: str | None, path: Path, folder: str | None = None) -> None:
        """Store a file, or what a folder holds. It must stay in place until it is written."""
        with self._work(uid) as work:
            work.put(Upload(path, folder))

    def log_text(self, uid: str | None, text: str, file: str) -> None:
        """Store `text` as the artifact `file`, replacing it."""
        with self._work(uid) as work:
            work.put(Text(file, text))

    def remove_artifact(self, uid: str | None, path: str) -> None:
        """Delete an artifact, where the store can."""
        with self._work(uid) as work:
            work.put(Remove(path))

    def end(self, state: Literal["complete", "failed", "stopped"]) -> None:
        """The search ended."""
        self._enter(None, state, {})

    def close(self, timeout: float) -> bool:
        """Wait for the rest to be written, as long as no run takes more than `timeout` seconds.

        So a slow store is waited for, however many trials it has to take. Returns True when everything has
        arrived.
        """
        with self._changed:
            self._patience, self._deadline = timeout, time.monotonic() + timeout
            self._closing.set()
            self._changed.notify_all()
        while self._thread.is_alive() and (left := self._deadline - time.monotonic()) > 0:
            self._thread.join(left)
        return not self.pending and not self._sink.refused

    def settle(self, timeout: float) -> None:
        """Wait until nothing is left to write, for at most `timeout` seconds."""
        until = time.monotonic() + timeout
        while self.pending and time.monotonic() < until:
            time.sleep(0.05)

    @property
    def pending(self) -> int:
        """How many notes (a tag, a param, an epoch, a file, a state) are not written yet."""
        with self._changed:
            return sum(map(len, self._waiting.values())) + len(self._writing or ())

    def _enter(
        self,
        uid: str | None,
        state: State,
        tags: Mapping[str, str],
        name: str = "",
        at: int | None = None,
    ) -> None:
        self.set_tags(uid, {**tags, names.STATE: state})
        with self._work(uid) as work:
            work.name = name or work.name
            work.enter(state, at)

    @contextmanager
    def _work(self, uid: str | None) -> Iterator[Work]:
        with self._changed:
            yield self._waiting.setdefault(uid, Work())
            self._changed.notify_all()

    def _run(self) -> None:
        if self._after is not None:
            self._after()
        failures = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            if self._closing.is_set() and (not self._waiting or time.monotonic() > self._deadline):
                return
            self._closing.wait(_GATHER)
            written, error = self._flush()
            if error is None:
                if failures:
                    _log.warning("MLflow at %s answers again", public_uri(self._uri))
                failures = 0
                continue
            if not failures:
                reason = scrub(str(error)).splitlines() or [type(error).__name__]
                _log.warning(
                    "MLflow at %s does not answer; the search goes on and keeps what it has to write (%s)",
                    public_uri(self._uri),
                    names.clip(reason[0], 300),
                )
            failures = 1 if written else failures + 1
            self._pause(min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failures - 1, 10)))

    def _flush(self) -> tuple[int, Exception | None]:
        """Write what waits now. Returns how many runs were written, and the error that ended it."""
        with self._changed:
            turn = list(self._waiting)
        for written, uid in enumerate(turn):
            with self._changed:
                self._writing = work = self._waiting.pop(uid)
            try:
                self._sink.write(uid, work)
            except Exception as error:
                with self._changed:
                    if later := self._waiting.pop(uid, None):
                        work.absorb(later)
                    # Last in turn: if only this run is at fault, it does not hold up the others.
                    self._waiting[uid] = work
                    self._writing = None
                return written, error
            with self._changed:
                self._writing = None
                self._deadline = time.monotonic() + self._patience
        return len(turn), None

    def _pause(self, seconds: float) -> None:
        """Sleep, but no longer than `_FIRST_WAIT` once the search is waiting for us."""
        if self._closing.wait(seconds):
            time.sleep(_FIRST_WAIT)
