"""What a search has done so far: every trial, and the front of those that are complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kdsearch.constraints import Constraint
from kdsearch.filenames import CHECKPOINT, STUDENT, WEIGHTS
from kdsearch.files import has_weights, sweep
from kdsearch.pareto import Front, hypervolume
from kdsearch.space import fingerprint, without_teachers
from kdsearch.storage import fetch, remove
from kdsearch.tracking import Writer, now
from kdsearch.tune.records import (
    DRIVERS,
    RESULT,
    Record,
    curve_point,
    read_epochs,
    read_lines,
    read_records,
    write_epoch,
    write_line,
    write_result,
    write_trial,
)
from kdsearch.tune.trial_log import TrialLog
from kdsearch.types import Direction, State

#: In the folder of a search: its hypervolumes as they are logged to MLflow, one per line.
HYPERVOLUMES = "hypervolume.jsonl"


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
        self._log = TrialLog(writer, folder / "trials")
        self.records: dict[str, Record] = {}
        #: How many trials ended in each state, and those that run; kept because every trial asks for them.
        self.counts: Counter[State] = Counter()
        self.running: dict[str, Record] = {}
        self.front = Front(self.objectives)
        #: The reference point of hypervolumes; empty until it is fixed.
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
            write_trial(self.trial_folder(uid), record)
            remove(self.trial_folder(uid), RESULT)
        else:
            # Not how many there are: a machine may have been lost with what it had not sent to the bucket.
            number = next(reversed(self.records.values())).number + 1 if self.records else 0
            record = Record(uid, number, config, baseline, params=dict(params or {}), began=now())
            write_trial(self.trial_folder(uid), record)
            self.records[uid] = record
        self._count(record)
        self._log.start(record)
        return record

    def _count(self, record: Record) -> None:
        if record.state == "running":
            self.running[record.uid] = record
        else:
            self.running.pop(record.uid, None)
            self.counts[record.state] += 1

    def epoch(self, uid: str, metrics: Mapping[str, float]) -> None:
        """A trial finished an epoch. Epochs that are known already (its worker died) are skipped."""
        record, epoch = self.records[uid], int(metrics["epoch"])
        if epoch > record.epochs:
            record.epochs, at = epoch, now()
            record.curve.append(curve_point(metrics))
            write_epoch(self.trial_folder(uid), at, metrics)
            self._log.epoch(uid, metrics, at)

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
        competes = state == "complete" and self.feasible(metrics)
        change = self.front.add(uid, metrics) if competes else None
        record.dominated = competes and uid not in self.front
        write_result(self.trial_folder(uid), record)
        self._log.end(record)
        if change is not None:
            for left in change.left:
                self._leave(left)
            if change.entered:
                self._measure_hypervolume()
                self._log.enter_front(uid)
            self._note_hypervolume()
        if not record.unfinished:
            remove(self.trial_folder(uid), CHECKPOINT)
            sweep(self.trial_folder(uid))  # what a worker that was killed had begun to write
        if uid not in self.front:
            self._drop_weights(uid)

    def _measure_hypervolume(self) -> None:
        if self.reference:
            front = pd.DataFrame([self.records[uid].metrics for uid in self.front.keys])
            self._volume = hypervolume(front, self.objectives, self.reference)

    def _note_hypervolume(self) -> None:
        """The front's hypervolume as a metric of the search, by the number of complete trials."""
        if self.reference and len(self.front):
            point = {"time": now(), "trials": self.counts["complete"], "hypervolume": self._volume}
            write_line(self.folder / HYPERVOLUMES, point)
            self._log.hypervolume(point)

    def _hypervolumes(self, *, repair: bool = False) -> list[dict[str, Any]]:
        """Those that were logged so far."""
        keys = {"time", "trials", "hypervolume"}
        return read_lines(self.folder / HYPERVOLUMES, keys, repair=repair)

    def feasible(self, metrics: Mapping[str, float]) -> bool:
        """Whether every constraint holds."""
        return all(c.holds(metrics.get(c.name, float("nan"))) for c in self.constraints)

    def _leave(self, uid: str) -> None:
        record = self.records[uid]
        record.dominated = True
        write_result(self.trial_folder(uid), record)
        self._log.leave_front(uid)

    def restore(self, *, rerun: bool) -> None:
        """Read the trials of an earlier run.

        Args:
            rerun: Members of the front whose weights are lost are to run again.
        """
        for record in read_records(self.folder / "trials", repair=True):
            self.records[record.uid] = record
        for record in self:
            if record.state == "complete" and not record.dominated and self.feasible(record.metrics):
                self.front.add(record.uid, record.metrics)
        for uid in self.front.keys if rerun else ():
            if not has_weights(self.trial_folder(uid) / WEIGHTS):
                self.records[uid].state = "running"
        for record in self:
            if not record.unfinished:
                self._count(record)
        self._hypervolumes(repair=True)
        self.rebuild_front()

    def replay(self) -> None:
        """Log everything that the files say, as of when it happened."""
        for record in self:
            self._log.start(record)
            for metrics in read_epochs(self.trial_folder(record.uid)):
                self._log.epoch(record.uid, metrics, metrics["time"])
            if record.state != "running":
                self._log.end(record)
            if record.taken:
                self._log.conditions(record)
            if record.uid in self.front:
                self._log.enter_front(record.uid)
            elif record.state == "complete":
                self._log.leave_front(record.uid)
        for point in self._hypervolumes():
            self._log.hypervolume(point)

    def prune(self) -> None:
        """Delete all weights but those of the front. Only once the writer is done: it may be reading them."""
        for record in self:
            if record.uid not in self.front:
                self._drop_weights(record.uid)

    def _drop_weights(self, uid: str) -> None:
        remove(self.trial_folder(uid), STUDENT)

    def remeasure(self, uid: str, metrics: Mapping[str, Any]) -> None:
        """Replace figures of a trial by those taken at the end, and note what they were taken on."""
        fetch(self.trial_folder(uid), without=(*DRIVERS, CHECKPOINT))
        record, at = self.records[uid], now()
        record.metrics |= metrics
        record.taken |= dict.fromkeys(metrics, at)
        write_result(self.trial_folder(uid), record)
        self._log.remeasured(record, metrics, at)

    def explain(self, uid: str, reason: str) -> None:
        """Note what went wrong with a trial after it had ended."""
        record = self.records[uid]
        record.reason = reason
        write_result(self.trial_folder(uid), record)
        self._log.reason(record)

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
