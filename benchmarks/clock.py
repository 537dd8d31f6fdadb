"""A display of a search that notes when each of its trials ended."""

from __future__ import annotations

import time

from kdsearch.tune.display import Silent
from kdsearch.tune.ledger import Ledger, Record


class Clock(Silent):
    """Notes when each trial ended, on the clock of `time.perf_counter`; every one must be complete."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    def update(self, ledger: Ledger, planned: int, record: Record) -> None:
        """Called when a trial begins, and when it has ended."""
        if record.state == "running":
            return
        if record.state != "complete":
            raise RuntimeError(f"a trial {record.state}: {record.reason}")
        self.ended.append(time.perf_counter())
        self.look(ledger, record)

    def look(self, ledger: Ledger, record: Record) -> None:
        """What else is to be noted of a trial that has ended."""
