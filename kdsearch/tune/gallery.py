"""The pictures, the report and the tables of a search: drawn while it runs, and at its end."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
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
    from kdsearch.tracking import SearchRecord, Writer

_log = logging.getLogger(__name__)

#: The least pause between two drawings in seconds, and as a multiple of the time that the last one took, so
#: that drawing takes no more than a twentieth of one core.
_PAUSE, _SHARE = 30.0, 20.0
#: How far drawing stands back behind training.
_NICE = 10


def album_of(ledger: Ledger, teachers: Mapping[str, Mapping[str, Any]], name: str, state: str) -> Album:
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
        constraints=ledger.constraints,
    )


def scores(teachers: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The validation accuracy of each teacher, from its record."""
    return {name: record["metrics"]["accuracy"] for name, record in teachers.items()}


def draw(album: Album, folder: Path) -> list[str]:
    """Write report, pictures and tables to `folder`; returns the names of the files, the report's first.

    What mattered most is asked of the study in `folder`, where it holds one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    album = replace(album, importances=_importances(album, folder))
    pictures = write_pictures(album, folder)
    tables = {"front.csv": album.front, "trials.csv": album.trials}
    for file, frame in tables.items():
        write_whole(folder / file, to_csv(frame.drop(columns=["config", "curve"], errors="ignore")))
    write_whole(folder / "report.html", report(album))
    write_whole(folder / FILE, table_text(album.front))
    return ["report.html", *(path.name for path in pictures), *tables, FILE]


def draw_apart(album: Album, folder: Path) -> list[str]:
    """As `draw`, on this node but in a process that ends with it.

    Drawing takes some 200 MB, most of them modules, and in this process it would take turns with the search.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    task = ray.remote(num_cpus=0, max_calls=1, max_retries=0, scheduling_strategy=here)(_draw_behind)
    try:
        return list(ray.get(task.remote(album, folder.absolute())))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error


def _draw_behind(album: Album, folder: Path) -> list[str]:
    os.nice(_NICE)
    return draw(album, folder)


def show(
    album: Album, folder: Path, writer: Writer, draw: Callable[[Album, Path], list[str]] = draw
) -> list[Path]:
    """Draw a search and tell MLflow; returns the files, the report first."""
    files = [folder / name for name in draw(album, folder)]
    for path in files[:-1]:
        writer.log_artifact(None, path)
    log_table(writer, files[-1])
    return files


@contextmanager
def refreshed(
    album: Callable[[], Album],
    folder: Path,
    writer: Writer,
    draw: Callable[[Album, Path], list[str]] = draw,
) -> Iterator[None]:
    """While open, redraw the search from time to time, in the background, when another trial has ended.

    On Ctrl-C a drawing is not waited for.
    """
    shown, over = 0, False

    def redraw() -> float:
        nonlocal shown
        began = time.perf_counter()
        try:
            now = album()
            if len(now.complete) > shown:
                shown = len(now.complete)
                show(now, folder, writer, draw)
        except Exception as error:
            # No picture is worth ending a search for. The last one, outside this thread, raises its errors.
            if not over:
                _log.warning("the search can't be drawn now: %s", error)
        return max(_PAUSE, _SHARE * (time.perf_counter() - began))

    try:
        with repeated(redraw, _PAUSE, awaited=False):
            yield
    finally:
        over = True


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
    )


def _curve(trial: Path) -> Any:
    try:
        return json.loads((trial / "result.json").read_text(encoding="utf-8"))["curve"]
    except (OSError, ValueError, KeyError):
        return None


def _importances(album: Album, folder: Path) -> Mapping[str, Mapping[str, float]]:
    from kdsearch.tune.study import stored_study

    study = stored_study(folder, album.name)
    return album.importances if study is None else importances(study, album.objectives)
