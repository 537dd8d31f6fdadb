"""How a search is stopped: by Ctrl-C, SIGTERM, `kdsearch stop`, or an error that will not go away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kdsearch.errors import KdsearchError
from kdsearch.tune.folder import asked_to_stop

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Seconds between two checks for the file of `kdsearch stop`.
_LOOK = 0.5


class StoppedError(KdsearchError):
    """Somebody stopped the search before it had anything to show."""


class Stop:
    """Whether a search is to stop, and why: `error` is empty when a user asked for it."""

    def __init__(self) -> None:
        self.error = ""
        self._requested = threading.Event()
        self._first = threading.Lock()
        self._calls: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        return self._requested.is_set()

    def then(self, call: Callable[[], None]) -> None:
        """Call this when the search is to stop; at once if that is so already."""
        self._calls.append(call)
        if self:
            call()

    def request(self, error: str = "") -> None:
        """Let what runs finish its epoch, and begin nothing more. Only the first request counts."""
        if self._first.acquire(blocking=False):
            self.error = error
            self._requested.set()
            for call in list(self._calls):
                call()


@contextmanager
def stoppable(folder: Path) -> Iterator[Stop]:
    """While open, the first Ctrl-C or SIGTERM is a request, and `kdsearch stop` too; a second interrupts."""
    stop, over = Stop(), threading.Event()

    def look() -> None:
        while not over.wait(_LOOK):
            if asked_to_stop(folder):
                stop.request()

    def handle(number: int, frame: object) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.default_int_handler)
        stop.request()

    threading.Thread(target=look, name="kdsearch-stop", daemon=True).start()
    # Only the main thread of a program may say what its signals do.
    main = threading.current_thread() is threading.main_thread()
    before = [signal.signal(each, handle) for each in _SIGNALS] if main else []
    try:
        yield stop
    finally:
        over.set()
        for each, handler in zip(_SIGNALS, before, strict=False):
            signal.signal(each, handler)
