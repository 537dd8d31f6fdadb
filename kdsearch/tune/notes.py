"""What a worker logs, collected so that its next post carries it to the user.

A worker's own output stays in Ray's logs, on whichever node it runs.
"""

from __future__ import annotations

import logging
from threading import Lock


class Notes(logging.Handler):
    """Collects each distinct message of the `kdsearch` loggers, from the level INFO up."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._guard = Lock()
        self._seen: set[str] = set()
        self._new: list[str] = []

    def install(self) -> None:
        """Listen to every logger of kdsearch, for as long as this process lives."""
        logger = logging.getLogger("kdsearch")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message that is new."""
        text = record.getMessage()
        with self._guard:
            if text not in self._seen:
                self._seen.add(text)
                self._new.append(text)

    def take(self) -> list[str]:
        """The messages since the last call."""
        with self._guard:
            new, self._new = self._new, []
        return new
