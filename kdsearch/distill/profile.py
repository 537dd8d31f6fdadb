"""Where the time of a trial goes: seconds by activity, and a trace of a few of its steps."""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import torch
    from torch.profiler import profile, record_function

Activity = Literal[
    "data", "teacher", "forward", "backward", "optimiser", "evaluation", "tracing", "other", "idle"
]

#: Files in a trial's folder: the seconds of each activity, and a trace in Chrome's format of the steps after
#: the first of these.
TABLE, TRACE = "profile.csv", "trace.json.gz"
_FIRST, _LAST = 1, 4


class Profile:
    """A stopwatch that is always on one activity.

    On a GPU it waits at each change of activity for what was started before: otherwise the wait for one would
    be counted as another's.
    """

    def __init__(self, folder: Path, device: torch.device, idle: float) -> None:
        """
        Args:
            folder: Where the files go.
            device: Where the trial runs.
            idle: Seconds waited for the trial.
        """
        self.seconds: defaultdict[str, float] = defaultdict(float, idle=idle)
        self._folder, self._device = folder, device
        self._activity: Activity = "other"
        self._since = time.perf_counter()
        self._steps = 0
        self._tracer: profile | None = None
        self._named: record_function | None = None

    def begin(self, activity: Activity) -> None:
        """The time from now on goes to `activity`. A step goes from its `data` to the next one's."""
        self._take(activity)
        self._steps += activity == "teacher"
        if activity == "data" and self._steps in (_FIRST, _LAST):
            self._take("tracing")
            self._start() if self._steps == _FIRST else self._stop()
            self._take(activity)
        if self._tracer is not None:
            self._name(activity)

    def _take(self, activity: Activity) -> None:
        if self._device.type == "cuda":
            import torch

            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.seconds[self._activity] += now - self._since
        self._activity, self._since = activity, now

    def _start(self) -> None:
        if self._tracer is not None:
            return
        from torch.profiler import ProfilerActivity, profile

        cuda = [ProfilerActivity.CUDA] if self._device.type == "cuda" else []
        self._tracer = profile(activities=[ProfilerActivity.CPU, *cuda])
        self._tracer.start()

    def _name(self, activity: Activity | None) -> None:
        """Let the trace show the activity over what it calls."""
        from torch.profiler import record_function

        if self._named is not None:
            self._named.__exit__(None, None, None)
        self._named = None if activity is None else record_function(activity)
        if self._named is not None:
            self._named.__enter__()  # type: ignore[no-untyped-call]

    def _stop(self) -> None:
        if self._tracer is not None:
            self._name(None)
            self._tracer.stop()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._tracer.export_chrome_trace(str(self._folder / TRACE))
            self._tracer = None

    def close(self) -> None:
        """Write the table, and the trace of a trial of few steps."""
        self._take("tracing")
        self._stop()
        self._take("other")
        self._folder.mkdir(parents=True, exist_ok=True)
        write_seconds(self.seconds, self._folder / TABLE)


@contextmanager
def profiled(folder: Path, device: torch.device, idle: float) -> Iterator[Profile]:
    """A profile of what happens while it is open; its files are written however that ends."""
    profile = Profile(folder, device, idle)
    try:
        yield profile
    finally:
        profile.close()


def shares(seconds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Each activity with its seconds and its share of the whole, in the order of a trial."""
    whole = sum(seconds.values()) or 1.0
    return [(name, seconds.get(name, 0.0), seconds.get(name, 0.0) / whole) for name in get_args(Activity)]


def write_seconds(seconds: Mapping[str, float], file: Path) -> None:
    """Write a CSV with a row an activity."""
    with file.open("w", encoding="utf-8", newline="") as opened:
        rows = csv.writer(opened, lineterminator="\n")
        rows.writerow(("phase", "seconds", "share"))
        rows.writerows((name, f"{taken:.6f}", f"{share:.4f}") for name, taken, share in shares(seconds))


def as_text(seconds: Mapping[str, float]) -> str:
    """The same as lines of text."""
    rows = [f"{name:<12}{taken:>10.2f} s{share:>8.1%}" for name, taken, share in shares(seconds)]
    return "\n".join(rows)


def summed(files: Iterable[Path]) -> dict[str, float]:
    """The seconds by activity of several profiles together; missing files are skipped."""
    total: defaultdict[str, float] = defaultdict(float)
    for file in files:
        if file.exists():
            with file.open(encoding="utf-8", newline="") as opened:
                for row in csv.DictReader(opened):
                    total[row["phase"]] += float(row["seconds"])
    return dict(total)
