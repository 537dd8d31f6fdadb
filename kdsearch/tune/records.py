"""The files of a trial, from which a search is resumed and its runs in MLflow are rebuilt.

`trial.json` is written when a trial begins and says what it is, `epochs.jsonl` has a line for each epoch,
`result.json` is written when it ends and says everything. A file that is cut short is thrown away.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from kdsearch.filenames import CHECKPOINT, CLASSES, CONFIG, INPUT, STUDENT
from kdsearch.files import sweep, write_whole
from kdsearch.space import config_yaml, describe, fingerprint
from kdsearch.types import State

TRIAL, RESULT, EPOCHS = "trial.json", "result.json", "epochs.jsonl"
#: The traceback of a trial that failed.
TRACEBACK = "error.txt"
#: The files of a trial that the search writes, and, of the others, those that only a worker may write.
DRIVERS = (TRIAL, RESULT, EPOCHS, CONFIG)
WORKERS = (STUDENT, INPUT, CLASSES, CHECKPOINT, TRACEBACK)
#: The reason of a `stopped` trial that goes on when its search is resumed.
INTERRUPTED = "the search was stopped"


@dataclass
class Record:
    """One trial. `baseline` is '', 'labels' (no teacher), or 'kd' (plain distillation).

    `params` are those of Optuna's trial. Times are milliseconds since 1970: MLflow keeps a metric of one
    moment only once, so that it can be logged again. `taken` has the times of those metrics that were taken
    after the trial had ended. A trial that was `dominated` once stays so, even if the metrics that dominated
    it are measured again: its weights are gone.
    """

    uid: str
    number: int
    config: dict[str, Any]
    baseline: str = ""
    state: State = "running"
    reason: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    epochs: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    infeasible: bool = False
    dominated: bool = False
    params: dict[str, Any] = field(default_factory=dict)
    began: int = 0
    ended: int = 0
    taken: dict[str, int] = field(default_factory=dict)

    @property
    def recipe(self) -> str:
        """The config in words."""
        return describe(self.config)

    @property
    def unfinished(self) -> bool:
        """Whether it goes on when its search is resumed."""
        return self.state == "running" or (self.state == "stopped" and self.reason == INTERRUPTED)


def write_trial(folder: Path, record: Record) -> None:
    """Write the files of a trial that begins."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / CONFIG, config_yaml(record.config))
    write_json(folder / TRIAL, asdict(record))


def write_result(folder: Path, record: Record) -> None:
    """Write the result of a trial."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RESULT, asdict(record))


def write_epoch(folder: Path, time: int, metrics: Mapping[str, float]) -> None:
    """Append an epoch."""
    write_line(folder / EPOCHS, {"time": time, **metrics})


def curve_point(metrics: Mapping[str, float]) -> dict[str, float]:
    """What a learning curve shows of an epoch."""
    return {key: metrics[key] for key in ("loss", "accuracy") if key in metrics}


def write_line(path: Path, content: Mapping[str, object]) -> None:
    """Add a line to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content) + "\n")


def write_json(path: Path, content: object) -> None:
    """Write a file that is either whole or not there."""
    write_whole(path, json.dumps(content, indent=1))


def read_epochs(folder: Path, *, repair: bool = False) -> list[dict[str, Any]]:
    """The epochs of a trial, up to the first line that is not whole; `repair` cuts the file there."""
    return read_lines(folder / EPOCHS, {"time", "epoch"}, repair=repair)


def read_lines(path: Path, keys: set[str], *, repair: bool = False) -> list[dict[str, Any]]:
    """The lines of a file, up to the first that lacks one of `keys`; `repair` cuts the file there."""
    lines, whole = list[dict[str, Any]](), 0
    content = path.read_bytes() if path.exists() else b""
    for text in content.splitlines(keepends=True):
        try:
            line = json.loads(text) if text.endswith(b"\n") else None
        except ValueError:
            line = None
        if not isinstance(line, dict) or not keys <= line.keys():
            break
        lines.append(line)
        whole += len(text)
    if repair and whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
    return lines


def read_records(trials: Path, *, repair: bool = False) -> list[Record]:
    """Every trial, in the order in which they began.

    `repair` deletes files that are damaged or cut short, and trials of which nothing is left. Only the
    process that holds the search may ask for it: another would delete what is being written.
    """
    folders = sorted(path for path in trials.iterdir() if path.is_dir()) if trials.is_dir() else []
    if repair:
        for folder in folders:
            _sweep(folder)
    found = [record for folder in folders if (record := _read(folder)) is not None]
    return sorted(found, key=lambda record: record.number)


def _sweep(folder: Path) -> None:
    sweep(folder)
    for path in (folder / TRIAL, folder / RESULT):
        if _parse(path) is None:
            path.unlink(missing_ok=True)
    if not (folder / TRIAL).exists() and not (folder / RESULT).exists():
        shutil.rmtree(folder)
    else:
        read_epochs(folder, repair=True)


def _read(folder: Path) -> Record | None:
    record = _parse(folder / RESULT) or _parse(folder / TRIAL)
    if record is not None and record.unfinished:
        epochs = read_epochs(folder)
        record.epochs = int(epochs[-1]["epoch"]) if epochs else 0
        record.curve = [curve_point(epoch) for epoch in epochs]
    return record


def _parse(path: Path) -> Record | None:
    """The record in a file; None if it is not one, or not of this trial."""
    names = {f.name for f in fields(Record)}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        record = Record(**{key: value for key, value in content.items() if key in names})
        return record if fingerprint(record.config) == record.uid == path.parent.name else None
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
