"""The pictures, the report and the tables of a search: drawn while it runs, and at its end."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kdsearch.background import repeated
from kdsearch.files import write_whole
from kdsearch.pareto.album import Album, write_pictures
from kdsearch.pareto.importance import importances
from kdsearch.pareto.report import report
from kdsearch.pareto.table import to_csv
from kdsearch.tracking.table import FILE, log_table, table_text
from kdsearch.tune.ledger import Ledger

if TYPE_CHECKING:
    import optuna

    from kdsearch.tracking import SearchRecord, Writer

_log = logging.getLogger(__name__)

#: The least pause between two drawings in seconds, and as a multiple of the time that the last one took, so
#: that drawing takes no more than a twentieth of one core.
_PAUSE, _SHARE = 30.0, 20.0


def album_of(
    ledger: Ledger, study: optuna.Study, teachers: Mapping[str, Mapping[str, Any]], name: str, state: str
) -> Album:
    """A search as it stands."""
    records = tuple(ledger)
    trials = ledger.frame()
    if len(trials):
        trials = trials.head(len(records)).copy()
        trials["config"] = pd.Series([record.config for record in records], dtype=object)
        trials["curve"] = pd.Series([record.curve for record in records], dtype=object)
    return Album(
        name=name,
        state=state,
        objectives=ledger.objectives,
        reference=ledger.reference,
        trials=trials,
        teachers=scores(teachers),
        importances=importances(study, ledger.objectives),
        constraints=ledger.constraints,
    )


def scores(teachers: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The validation accuracy of each teacher, from its record."""
    return {name: record["metrics"]["accuracy"] for name, record in teachers.items()}


def show(album: Album, folder: Path, writer: Writer) -> list[Path]:
    """Write report, pictures and tables to `folder` and to MLflow; returns the files, the report first."""
    folder.mkdir(parents=True, exist_ok=True)
    files = write_pictures(album, folder)
    tables = {"front.csv": album.front, "trials.csv": album.trials}
    for file, frame in tables.items():
        write_whole(folder / file, to_csv(frame.drop(columns=["config", "curve"], errors="ignore")))
    write_whole(folder / "report.html", report(album))
    write_whole(folder / FILE, table_text(album.front))
    files = [folder / "report.html", *files, *(folder / file for file in tables)]
    for path in files:
        writer.log_artifact(None, path)
    log_table(writer, folder / FILE)
    return [*files, folder / FILE]


@contextmanager
def refreshed(album: Callable[[], Album], folder: Path, writer: Writer) -> Iterator[None]:
    """While open, redraw the search from time to time, in the background, when another trial has ended."""
    shown = 0

    def draw() -> float:
        nonlocal shown
        began = time.perf_counter()
        try:
            now = album()
            if len(now.complete) > shown:
                shown = len(now.complete)
                show(now, folder, writer)
        except Exception as error:
            # No picture is worth ending a search for. The last one, outside this thread, raises its errors.
            _log.warning("the search can't be drawn now: %s", error)
        return max(_PAUSE, _SHARE * (time.perf_counter() - began))

    with repeated(draw, _PAUSE):
        yield


def read_album(
    record: SearchRecord, objectives: Mapping[str, Any], reference: Mapping[str, float], folder: Path
) -> Album:
    """A search as MLflow has it, and what else its `folder` holds, where that is on this machine."""
    trials = record.trials.copy()
    trials["curve"] = pd.Series([_curve(folder / "trials" / str(uid)) for uid in trials["uid"]], dtype=object)
    return Album(
        name=record.name,
        state=record.state,
        objectives=objectives,
        reference=reference,
        trials=trials,
        importances=_stored_importances(record.name, folder, objectives),
    )


def _curve(trial: Path) -> Any:
    try:
        return json.loads((trial / "result.json").read_text(encoding="utf-8"))["curve"]
    except (OSError, ValueError, KeyError):
        return None


def _stored_importances(name: str, folder: Path, objectives: Mapping[str, Any]) -> Any:
    from kdsearch.tune.study import stored_study

    study = stored_study(folder, name)
    return {} if study is None else importances(study, objectives)
