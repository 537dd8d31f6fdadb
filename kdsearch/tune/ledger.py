"""What a search has done so far: every trial, and the front of the finished ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from kdsearch.constraints import Constraint
from kdsearch.pareto import Front, hypervolume
from kdsearch.pareto.front import Direction
from kdsearch.space import body, canonical, config_yaml, describe, fingerprint
from kdsearch.tracking import Writer

State = Literal["running", "complete", "failed", "stopped"]


@dataclass
class Record:
    """One trial. `baseline` is '', 'labels' (no teacher), or 'kd' (plain distillation)."""

    uid: str
    number: int
    config: dict[str, Any]
    baseline: str = ""
    state: State = "running"
    reason: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    epochs: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def recipe(self) -> str:
        """The config in words."""
        return describe(self.config)


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
        self.front = Front(self.objectives)
        #: The point up to which hypervolumes count; nothing until it is fixed.
        self.reference: dict[str, float] = {}

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

    def start(self, uid: str, config: dict[str, Any], baseline: str) -> Record:
        """A trial begins."""
        record = Record(uid, len(self.records), config, baseline)
        self.records[uid] = record
        tags = {
            "kdsearch.number": str(record.number),
            "kdsearch.baseline": baseline,
            "kdsearch.front": "false",
        }
        self.writer.trial(uid, record.recipe, config, tags)
        return record

    def epoch(self, uid: str, metrics: Mapping[str, float]) -> None:
        """A trial finished an epoch. Epochs it has told of already (its worker died) are passed over."""
        record, epoch = self.records[uid], int(metrics["epoch"])
        if epoch > record.epochs:
            record.epochs = epoch
            record.curve.append({key: metrics[key] for key in ("loss", "accuracy") if key in metrics})
            self.writer.epoch(uid, epoch, {key: value for key, value in metrics.items() if key != "epoch"})

    def end(self, uid: str, state: State, metrics: Mapping[str, Any], reason: str = "") -> None:
        """A trial ended; the front is brought up to date."""
        record = self.records[uid]
        record.state, record.metrics, record.reason = state, dict(metrics), reason
        self.write(record)
        assert state != "running"
        self.writer.finish(uid, state, numbers(metrics), {"kdsearch.reason": reason} if reason else {})
        if state == "complete" and self.feasible(metrics):
            change = self.front.add(uid, metrics)
            for left in change.left:
                self._leave(left)
            self._note_hypervolume()
            if change.entered:
                self._enter(uid)
                return
        self._drop_weights(uid)

    def _note_hypervolume(self) -> None:
        """The front's hypervolume as a metric of the search, by the number of complete trials."""
        if self.reference and len(self.front):
            front = pd.DataFrame([self.records[uid].metrics for uid in self.front.keys])
            done = sum(record.state == "complete" for record in self)
            volume = hypervolume(front, self.objectives, self.reference)
            self.writer.metrics(None, {"hypervolume": volume}, done)

    def feasible(self, metrics: Mapping[str, float]) -> bool:
        """Whether every constraint holds."""
        return all(c.holds(metrics.get(c.name, float("nan"))) for c in self.constraints)

    def write(self, record: Record) -> None:
        """Bring the file of a trial up to date: what MLflow could be rebuilt from."""
        folder = self.trial_folder(record.uid)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(config_yaml(record.config), encoding="utf-8")
        part = folder / "result.json.part"
        part.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
        part.replace(folder / "result.json")

    def _enter(self, uid: str) -> None:
        self.writer.tag(uid, {"kdsearch.front": "true"})
        folder = self.trial_folder(uid)
        for path in (*sorted(folder.glob("student.*")), folder / "input.json", folder / "config.yaml"):
            if path.exists():
                self.writer.artifact(uid, path, "student")

    def _leave(self, uid: str) -> None:
        self.writer.tag(uid, {"kdsearch.front": "false"})
        self.writer.remove_artifact(uid, "student")

    def prune(self) -> None:
        """Keep the weights of the front only. Not before the writer is done: it may be reading a file."""
        for uid in self.records:
            if uid not in self.front:
                self._drop_weights(uid)

    def _drop_weights(self, uid: str) -> None:
        for path in self.trial_folder(uid).glob("student.*"):
            path.unlink(missing_ok=True)

    def remeasure(self, uid: str, metrics: Mapping[str, Any]) -> None:
        """Replace figures of a member of the front by those taken at the end, and note on what."""
        record = self.records[uid]
        record.metrics |= metrics
        self.write(record)
        self.writer.metrics(uid, numbers(metrics))
        texts = {f"kdsearch.{key}": text for key, text in metrics.items() if isinstance(text, str)}
        self.writer.tag(uid, texts)
        if (path := self.trial_folder(uid) / "classes.csv").exists():
            self.writer.artifact(uid, path)

    def rebuild_front(self) -> None:
        """The front among its members, after figures of theirs were taken again."""
        before, self.front = self.front.keys, Front(self.objectives)
        for uid in before:
            if self.feasible(self.records[uid].metrics):
                self.front.add(uid, self.records[uid].metrics)
        for uid in before:
            if uid not in self.front:
                self._leave(uid)
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
