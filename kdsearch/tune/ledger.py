"""What a search has done so far: every trial, and the front of the finished ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from kdsearch.constraints import Constraint
from kdsearch.distill.profile import TABLE, TRACE
from kdsearch.pareto import Front, hypervolume
from kdsearch.space import body, canonical, fingerprint
from kdsearch.storage import fetch, remove
from kdsearch.tracking import Writer, now
from kdsearch.tune.records import (
    CHECKPOINT,
    DRIVERS,
    Record,
    has_weights,
    read_epochs,
    read_lines,
    read_records,
    write_epoch,
    write_line,
    write_result,
    write_trial,
)
from kdsearch.types import Direction, State

#: In the folder of a search: its hypervolumes as MLflow is told them, a line each.
HYPERVOLUMES = "hypervolume.jsonl"


def without_teachers(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same student, trained in the same way from labels alone."""
    labels = {"name": "ce", "weight": 1.0, "label_smoothing": 0.0}
    teachers = {"members": [], "combine": {"name": "mean"}, "dropout": 0.0}
    distill = {"teachers": teachers, "losses": {"ce": labels}}
    return canonical({**config, "student": body(config["student"]), "distill": distill})


class Ledger:
    """Keeps the records of a search, in memory, in a file each, and, through the writer, in MLflow."""

    def __init__(
        self,
        objectives: Mapping[str, Direction],
        constraints: list[Constraint],
        folder: Path,
        writer: Writer,
    ) -> None:
        self.objectives = dict(objectives)
        self.constraints = constraints
        self.folder = folder
        self.writer = writer
        self.records: dict[str, Record] = {}
        #: How many trials have ended in each way, and those that run: a search asks for it at every trial.
        self.counts: Counter[State] = Counter()
        self.running: dict[str, Record] = {}
        self.front = Front(self.objectives)
        #: The point up to which hypervolumes count; nothing until it is fixed.
        self.reference: dict[str, float] = {}
        self._volume = 0.0

    def __getitem__(self, uid: str) -> Record:
        return self.records[uid]

    def __contains__(self, uid: object) -> bool:
        return uid in self.records

    def __iter__(self) -> Iterator[Record]:
        # A copy: trials may begin while it is looked at.
        return iter(tuple(self.records.values()))

    def trial_folder(self, uid: str) -> Path:
        """The folder of a trial's files."""
        return self.folder / "trials" / uid

    def start(
        self, uid: str, config: dict[str, Any], baseline: str, params: Mapping[str, Any] | None = None
    ) -> Record:
        """A trial begins, or goes on."""
        if (record := self.records.get(uid)) is not None:
            record.state, record.reason = "running", ""
        else:
            record = Record(uid, len(self.records), config, baseline, params=dict(params or {}), began=now())
            write_trial(self.trial_folder(uid), record)
            self.records[uid] = record
        self._count(record)
        self._tell_start(record)
        return record

    def _count(self, record: Record) -> None:
        if record.state == "running":
            self.running[record.uid] = record
        else:
            self.running.pop(record.uid, None)
            self.counts[record.state] += 1

    def _tell_start(self, record: Record) -> None:
        tags = {
            "kdsearch.number": str(record.number),
            "kdsearch.baseline": record.baseline,
            "kdsearch.front": "false",
            "kdsearch.reason": "",
        }
        self.writer.trial(record.uid, record.recipe, record.config, tags, at=record.began)

    def epoch(self, uid: str, metrics: Mapping[str, float]) -> None:
        """A trial finished an epoch. Epochs it has told of already (its worker died) are passed over."""
        record, epoch = self.records[uid], int(metrics["epoch"])
        if epoch > record.epochs:
            record.epochs, at = epoch, now()
            record.curve.append({key: metrics[key] for key in ("loss", "accuracy") if key in metrics})
            write_epoch(self.trial_folder(uid), at, metrics)
            self._tell_epoch(uid, at, metrics)

    def _tell_epoch(self, uid: str, at: int, metrics: Mapping[str, float]) -> None:
        rest = {key: value for key, value in metrics.items() if key not in ("epoch", "time")}
        self.writer.epoch(uid, int(metrics["epoch"]), rest, at=at)

    def end(
        self,
        uid: str,
        state: State,
        metrics: Mapping[str, Any],
        reason: str = "",
        *,
        infeasible: bool = False,
    ) -> None:
        """A trial ended; the front is brought up to date."""
        fetch(self.trial_folder(uid), without=(*DRIVERS, CHECKPOINT))
        record = self.records[uid]
        record.state, record.metrics, record.reason = state, dict(metrics), reason
        record.infeasible, record.ended = infeasible, now()
        self._count(record)
        write_result(self.trial_folder(uid), record)
        self._tell_end(record)
        if state == "complete" and self.feasible(metrics):
            change = self.front.add(uid, metrics)
            for left in change.left:
                self._leave(left)
            if change.entered:
                self._measure_hypervolume()
                self._enter(uid)
            self._note_hypervolume()
        if not record.unfinished:
            remove(self.trial_folder(uid), CHECKPOINT)
        if uid not in self.front:
            self._drop_weights(uid)

    def _tell_end(self, record: Record) -> None:
        assert record.state != "running"
        at = {key: record.taken.get(key, record.ended) for key in numbers(record.metrics)}
        for moment, keys in groupby(sorted(at, key=at.__getitem__), key=at.__getitem__):
            self.writer.metrics(record.uid, {key: float(record.metrics[key]) for key in keys}, at=moment)
        for path in (self.trial_folder(record.uid) / name for name in (TABLE, TRACE)):
            if path.exists():
                self.writer.artifact(record.uid, path, "profile")
        self.writer.finish(record.uid, record.state, {}, {"kdsearch.reason": record.reason}, at=record.ended)

    def _measure_hypervolume(self) -> None:
        if self.reference:
            front = pd.DataFrame([self.records[uid].metrics for uid in self.front.keys])
            self._volume = hypervolume(front, self.objectives, self.reference)

    def _note_hypervolume(self) -> None:
        """The front's hypervolume as a metric of the search, by the number of complete trials."""
        if self.reference and len(self.front):
            point = {"time": now(), "trials": self.counts["complete"], "hypervolume": self._volume}
            write_line(self.folder / HYPERVOLUMES, point)
            self._tell_hypervolume(point)

    def _tell_hypervolume(self, point: Mapping[str, Any]) -> None:
        volume = {"hypervolume": point["hypervolume"]}
        self.writer.metrics(None, volume, int(point["trials"]), at=int(point["time"]))

    def _hypervolumes(self, *, repair: bool = False) -> list[dict[str, Any]]:
        """Those that MLflow was told."""
        keys = {"time", "trials", "hypervolume"}
        return read_lines(self.folder / HYPERVOLUMES, keys, repair=repair)

    def feasible(self, metrics: Mapping[str, float]) -> bool:
        """Whether every constraint holds."""
        return all(c.holds(metrics.get(c.name, float("nan"))) for c in self.constraints)

    def _enter(self, uid: str) -> None:
        self.writer.tag(uid, {"kdsearch.front": "true"})
        folder = self.trial_folder(uid)
        for path in (*sorted(folder.glob("student.*")), folder / "input.json", folder / "config.yaml"):
            if path.exists():
                self.writer.artifact(uid, path, "student")

    def _leave(self, uid: str) -> None:
        self.writer.tag(uid, {"kdsearch.front": "false"})
        self.writer.remove_artifact(uid, "student")

    def restore(self) -> None:
        """Take up the trials of an earlier run. Members of the front that lost their weights run again."""
        for record in read_records(self.folder / "trials", repair=True):
            self.records[record.uid] = record
        for record in self:
            if record.state == "complete" and self.feasible(record.metrics):
                self.front.add(record.uid, record.metrics)
        for uid in self.front.keys:
            if not has_weights(self.trial_folder(uid)):
                self.records[uid].state = "running"
        for record in self:
            if not record.unfinished:
                self._count(record)
        self._hypervolumes(repair=True)
        self.rebuild_front()

    def replay(self) -> None:
        """Tell the writer all that the files say, at the times at which it happened."""
        for record in self:
            self._tell_start(record)
            for metrics in read_epochs(self.trial_folder(record.uid)):
                self._tell_epoch(record.uid, metrics["time"], metrics)
            if record.state != "running":
                self._tell_end(record)
            if record.taken:
                self._tell_conditions(record)
            if record.uid in self.front:
                self._enter(record.uid)
            elif record.state == "complete":
                self._leave(record.uid)
        for point in self._hypervolumes():
            self._tell_hypervolume(point)

    def prune(self) -> None:
        """Keep the weights of the front only. Not before the writer is done: it may be reading a file."""
        for record in self:
            if record.uid not in self.front:
                self._drop_weights(record.uid)

    def _drop_weights(self, uid: str) -> None:
        remove(self.trial_folder(uid), "student.*")

    def remeasure(self, uid: str, metrics: Mapping[str, Any]) -> None:
        """Replace figures of a trial by those taken at the end, and note on what."""
        fetch(self.trial_folder(uid), without=(*DRIVERS, CHECKPOINT))
        record, at = self.records[uid], now()
        record.metrics |= metrics
        record.taken |= dict.fromkeys(metrics, at)
        write_result(self.trial_folder(uid), record)
        self.writer.metrics(uid, numbers(metrics), at=at)
        self._tell_conditions(record)

    def explain(self, uid: str, reason: str) -> None:
        """Note what went wrong with a trial after it had ended."""
        record = self.records[uid]
        record.reason = reason
        write_result(self.trial_folder(uid), record)
        self.writer.tag(uid, {"kdsearch.reason": reason})

    def _tell_conditions(self, record: Record) -> None:
        texts = {f"kdsearch.{key}": text for key, text in record.metrics.items() if isinstance(text, str)}
        self.writer.tag(record.uid, texts)
        if (path := self.trial_folder(record.uid) / "classes.csv").exists():
            self.writer.artifact(record.uid, path)

    def rebuild_front(self) -> None:
        """The front among its members, after figures of theirs were taken again."""
        before, self.front = self.front.keys, Front(self.objectives)
        for uid in before:
            record = self.records[uid]
            if record.state == "complete" and self.feasible(record.metrics):
                self.front.add(uid, record.metrics)
        for uid in before:
            if uid not in self.front:
                self._leave(uid)
        self._measure_hypervolume()
        self._note_hypervolume()

    def twin(self, record: Record) -> str:
        """The uid of the same student trained from labels alone."""
        return fingerprint(without_teachers(record.config))

    def gain(self, record: Record) -> float:
        """Validation accuracy above the same student's without a teacher; NaN where that was not trained."""
        twin = self.records.get(self.twin(record))
        if twin is None or twin.state != "complete" or record.state != "complete" or twin is record:
            return float("nan")
        return float(record.metrics["accuracy"] - twin.metrics["accuracy"])

    def frame(self) -> pd.DataFrame:
        """One row a trial, in the order in which they began."""
        rows = [
            {
                "uid": record.uid,
                "number": record.number,
                "recipe": record.recipe,
                "state": record.state,
                "baseline": record.baseline,
                "front": record.uid in self.front,
                "gain": self.gain(record),
                "reason": record.reason,
                **record.metrics,
            }
            for record in self
        ]
        return pd.DataFrame(rows)


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The entries that are numbers."""
    return {key: float(value) for key, value in metrics.items() if isinstance(value, int | float)}
