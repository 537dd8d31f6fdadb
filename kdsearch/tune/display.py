"""The progress of a search: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from kdsearch.tune.ledger import Ledger
from kdsearch.tune.records import Record


class Display(Protocol):
    """Shows the progress of a search."""

    def note(self, text: str) -> None:
        """Show a line of text."""

    def update(self, ledger: Ledger, planned: int, record: Record) -> None:
        """`record` began or ended."""

    def close(self) -> None:
        """The trials are over."""


class Silent:
    """Shows nothing."""

    def note(self, text: str) -> None:
        """Not shown."""

    def update(self, ledger: Ledger, planned: int, record: Record) -> None:
        """Not shown."""

    def close(self) -> None:
        """Nothing to close."""


class Lines:
    """A line for each trial that ended, as for a log."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def note(self, text: str) -> None:
        """A line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def update(self, ledger: Ledger, planned: int, record: Record) -> None:
        """A line once the trial has ended."""
        if record.state == "running":
            return
        values = ", ".join(
            f"{name} {record.metrics[name]:.4g}" for name in ledger.objectives if name in record.metrics
        )
        mark = "*" if record.uid in ledger.front else " "
        what = values or f"{record.state}: {record.reason}"
        baseline = f" [baseline: {record.baseline}]" if record.baseline else ""
        self.note(f"[{ledger.counts.total()}/{planned}] {mark} {what} | {record.recipe}{baseline}")

    def close(self) -> None:
        """Nothing to close."""


class LiveTable:
    """A bar, and a table of how many trials are in which state and the best value of each objective."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started, self._before = time.monotonic(), 0
        columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[eta]}")
        self._progress = Progress(TextColumn("trials"), *columns, console=console)
        self._task = self._progress.add_task("", total=None, eta="")
        self._live: Live | None = None

    def note(self, text: str) -> None:
        """A line above the table."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def update(self, ledger: Ledger, planned: int, record: Record) -> None:
        """Redraw the table."""
        if self._live is None:
            self._started, self._before = time.monotonic(), ledger.counts.total()
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        done, eta = ledger.counts.total(), ""
        if self._before + 1 < done < planned:
            left = (time.monotonic() - self._started) / (done - self._before) * (planned - done)
            eta = f"about {left:.0f} s left" if left < 120 else f"about {left / 60:.0f} min left"
        self._progress.update(self._task, completed=done, total=planned, eta=eta)
        self._live.update(Group(self._progress, self._states(ledger), self._running(ledger)))

    def close(self) -> None:
        """Remove the table."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _states(self, ledger: Ledger) -> Table:
        table = Table(box=None, pad_edge=False)
        cells: dict[str, Any] = {
            "complete": ledger.counts["complete"],
            "running": len(ledger.running),
            "failed": ledger.counts["failed"],
            "stopped": ledger.counts["stopped"],
            "front": len(ledger.front),
        }
        # Whoever is best in something is on the front.
        front = [ledger[uid].metrics for uid in ledger.front.keys]
        for name, direction in ledger.objectives.items():
            best = max if direction == "maximize" else min
            values = [metrics[name] for metrics in front]
            cells[f"best {name}"] = f"{best(values):.4g}" if values else "-"
        for name in cells:
            table.add_column(name, justify="right")
        table.add_row(*map(str, cells.values()))
        return table

    def _running(self, ledger: Ledger) -> Text:
        return Text(
            "\n".join(f"running  {record.recipe}" for record in ledger.running.values()),
            style="dim",
            overflow="ellipsis",
            no_wrap=True,
        )


class Logged:
    """Shows what another display shows, and writes its lines to a file, for `kdsearch logs`."""

    def __init__(self, display: Display, file: Path) -> None:
        self._display, self._file = display, file

    def note(self, text: str) -> None:
        """A line in both."""
        self._display.note(text)
        self._write(lambda lines: lines.note(text))

    def update(self, ledger: Ledger, planned: int, record: Record) -> None:
        """A line in the file once the trial has ended."""
        self._display.update(ledger, planned, record)
        self._write(lambda lines: lines.update(ledger, planned, record))

    def close(self) -> None:
        """Nothing more in the file."""
        self._display.close()

    def _write(self, show: Callable[[Lines], None]) -> None:
        with (
            suppress(OSError),
            self._file.open("a", encoding="utf-8") as file,
        ):  # a full disk is reported elsewhere
            show(Lines(Console(file=file, width=10_000)))


def display_for(console: Console) -> Display:
    """A live table where a person looks on, lines elsewhere."""
    return LiveTable(console) if console.is_terminal else Lines(console)
