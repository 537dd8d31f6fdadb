"""What MLflow is told of the trials of a search."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from kdsearch.distill.profile import TABLE, TRACE
from kdsearch.filenames import CLASSES, CONFIG, INPUT, STUDENT
from kdsearch.tracking import Writer, names
from kdsearch.tune.records import Record


class TrialLog:
    """Logs trials to MLflow, at the times at which things happened, so that they may be logged again."""

    def __init__(self, writer: Writer, trials: Path) -> None:
        """
        Args:
            writer: Of the search.
            trials: The folder that holds a folder for each trial, named by its uid.
        """
        self._writer, self._trials = writer, trials

    def start(self, record: Record) -> None:
        """A trial begins, or goes on."""
        tags = {
            names.NUMBER: str(record.number),
            names.BASELINE: record.baseline,
            names.FRONT: "false",
            names.REASON: "",
        }
        self._writer.start_trial(record.uid, record.recipe, record.config, tags, at=record.began)

    def epoch(self, uid: str, metrics: Mapping[str, float], at: int) -> None:
        """A trial has finished an epoch."""
        rest = {key: value for key, value in metrics.items() if key not in ("epoch", "time")}
        self._writer.log_epoch(uid, int(metrics["epoch"]), rest, at=at)

    def end(self, record: Record) -> None:
        """A trial has ended: its final metrics, what was profiled, and its state."""
        assert record.state != "running"
        at = {key: record.taken.get(key, record.ended) for key in numbers(record.metrics)}
        for moment, keys in groupby(sorted(at, key=at.__getitem__), key=at.__getitem__):
            self._writer.log_metrics(record.uid, {key: float(record.metrics[key]) for key in keys}, at=moment)
        for path in (self._trials / record.uid / name for name in (TABLE, TRACE)):
            if path.exists():
                self._writer.log_artifact(record.uid, path, "profile")
        self._writer.end_trial(record.uid, record.state, {names.REASON: record.reason}, at=record.ended)

    def enter_front(self, uid: str) -> None:
        """A trial is on the front now: its student is stored with its run."""
        self._writer.set_tags(uid, {names.FRONT: "true"})
        folder = self._trials / uid
        for path in (*sorted(folder.glob(STUDENT)), folder / INPUT, folder / CONFIG):
            if path.exists():
                self._writer.log_artifact(uid, path, "student")

    def leave_front(self, uid: str) -> None:
        """A trial is no longer on the front."""
        self._writer.set_tags(uid, {names.FRONT: "false"})
        self._writer.remove_artifact(uid, "student")

    def remeasured(self, record: Record, metrics: Mapping[str, Any], at: int) -> None:
        """Figures of a trial were taken again after it had ended."""
        self._writer.log_metrics(record.uid, numbers(metrics), at=at)
        self.conditions(record)

    def conditions(self, record: Record) -> None:
        """What a trial was measured on, and its accuracy on each class."""
        texts = {f"kdsearch.{key}": text for key, text in record.metrics.items() if isinstance(text, str)}
        self._writer.set_tags(record.uid, texts)
        if (path := self._trials / record.uid / CLASSES).exists():
            self._writer.log_artifact(record.uid, path)

    def reason(self, record: Record) -> None:
        """What went wrong with a trial, after it had ended."""
        self._writer.set_tags(record.uid, {names.REASON: record.reason})

    def hypervolume(self, point: Mapping[str, Any]) -> None:
        """The hypervolume of the front at some `time`, by the number of complete `trials`."""
        volume = {"hypervolume": point["hypervolume"]}
        self._writer.log_metrics(None, volume, int(point["trials"]), at=int(point["time"]))


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The entries that are numbers."""
    return {key: float(value) for key, value in metrics.items() if isinstance(value, int | float)}
