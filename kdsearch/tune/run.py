"""A search, from a valid spec to a front."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kdsearch.distill.matching import match_layers
from kdsearch.distill.preflight import Facts, preflight
from kdsearch.distill.profile import TABLE, summed, write_seconds
from kdsearch.errors import KdsearchError
from kdsearch.filenames import SPEC, TEACHERS
from kdsearch.files import write_whole
from kdsearch.pareto import sort_front
from kdsearch.pareto.album import Album
from kdsearch.spec import Spec, constraints_of, dump_yaml, metrics_of
from kdsearch.storage import local, mirrored
from kdsearch.tracking import Writer, check_uri, names, provenance, resolve_uri, saved_views
from kdsearch.tune.cluster import (
    check_address,
    check_shared,
    check_this_machine,
    connected,
    start_slots,
)
from kdsearch.tune.cost import cost_of, remembered_layers
from kdsearch.tune.display import Display, Logged
from kdsearch.tune.finish import measure_front
from kdsearch.tune.folder import (
    LOG,
    RAYS,
    begun_before,
    check_same_space,
    check_storage,
    new_folder,
    old_folder,
    read_about,
    tidy,
    write_about,
)
from kdsearch.tune.gallery import album_of, draw_apart, refreshed, show
from kdsearch.tune.jobs import LostError
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.proposals import Proposals
from kdsearch.tune.records import WORKERS
from kdsearch.tune.reference import fix_reference
from kdsearch.tune.search_lock import LOCK
from kdsearch.tune.slots import Slots
from kdsearch.tune.stopping import Stop, StoppedError, stoppable
from kdsearch.tune.study import open_study
from kdsearch.tune.teachers import best_teacher, get_teachers
from kdsearch.types import Direction

#: Seconds to wait at the end for an MLflow that does not answer. `kdsearch sync` logs the rest later.
MLFLOW_PATIENCE = 30.0


@dataclass(frozen=True)
class Outcome:
    """The result of a search: all trials, those of the front, and where the files are."""

    name: str
    objectives: Mapping[str, Direction]
    trials: pd.DataFrame
    front: pd.DataFrame
    teachers: Mapping[str, Mapping[str, Any]]
    folder: Path
    plots: list[Path]
    refused: int
    exhausted: bool
    stopped: bool
    tracked: bool
    seconds: float
    uid: str
    """Of its run in MLflow."""
    profile: Mapping[str, float]
    """Seconds by phase, over all trials; empty unless `compute.profile` asks for it."""


def run_search(
    spec: Spec,
    *,
    file: str | None,
    name: str | None,
    resume: bool = False,
    address: str | None,
    display: Display,
) -> Outcome:
    """Run a search to its end, or until Ctrl-C.

    Args:
        spec: What to search.
        file: The file that it came from, for messages.
        name: Of the search; by default the spec's, with a number where that is taken. The same command again
            goes on with the search that it began, unless that is complete.
        resume: Go on with the search of that name: what is finished is kept.
        address: Of a Ray cluster; None starts Ray here.
        display: Shows the progress.

    Raises:
        InputError: For whatever is wrong with the input, before Ray is started or a file written.
        KdsearchError: When no trial could be run, three in a row failed in the same way, or the disk is full.
    """
    check_address(address)
    check_uri(spec.tracking.uri)
    check_this_machine(spec, address)
    storage = local(spec.compute.storage)
    check_storage(storage)
    if name is None and (name := begun_before(storage, spec)):
        display.note(f"search {name} was not finished: it goes on (--name NAME begins another)")
        resume = True
    held = old_folder(storage, name) if resume and name else new_folder(storage, spec.name, name)
    with held as folder:
        if resume:
            check_same_space(folder, spec)
        facts = preflight(spec, file)
        started = time.perf_counter()
        display = Logged(display, folder / LOG)
        with connected(address) as cluster, mirrored(folder, without=(*RAYS, *WORKERS, LOCK)):
            check_shared(storage)
            slots = start_slots(spec, cluster, storage, folder, display.note)
            return _attended(spec, facts, folder, slots, resume, display, started)


def _attended(
    spec: Spec, facts: Facts, folder: Path, slots: Slots, resume: bool, display: Display, started: float
) -> Outcome:
    """Run a search, and leave its files, MLflow and the worker groups in order however it ends."""
    experiment, tags = spec.tracking.experiment or spec.name, provenance()
    # Another folder may hold a search of this name that tells the same MLflow. Older ones noted no uid.
    about = read_about(folder)
    uid = about.get("uid") if about else uuid.uuid4().hex
    writer = Writer(resolve_uri(spec.tracking.uri), experiment, folder.name, resume=resume, uid=uid)
    patience = 20.0
    try:
        write_whole(folder / SPEC, dump_yaml(spec.plain()))
        write_about(folder, uid=uid, experiment=experiment, tags=tags, state="running", reason="")
        writer.start(tags, {SPEC: dump_yaml(spec.plain())}, after=slots.wait)
        with stoppable(folder) as stop:
            stop.then(slots.stop)
            search = _Running(spec, facts, folder, slots, writer, display, stop, resume)
            return _search(search, started)
    except BaseException as error:
        display.close()
        again = f"--resume {folder.name} goes on with it"
        interrupted = isinstance(error, KeyboardInterrupt | StoppedError)
        if isinstance(error, KeyboardInterrupt):
            patience = 0.0
            display.note(f"stopped at once; {again}")
        state: Any = "stopped" if interrupted else "failed"
        with suppress(OSError):
            write_about(folder, state=state, reason=str(error))
        writer.end(state)
        writer.close(timeout=min(patience, 5))
        if isinstance(error, OSError):
            where = error.filename or folder
            raise KdsearchError(
                f"{where}: {error.strerror or error}; what was complete is kept, and {again}"
            ) from error
        if isinstance(error, LostError):
            raise KdsearchError(f"{error}; what was complete is kept, and {again}") from None
        raise
    finally:
        slots.close(patience)


@dataclass(frozen=True)
class _Running:
    """What all steps of a search need."""

    spec: Spec
    facts: Facts
    folder: Path
    slots: Slots
    writer: Writer
    display: Display
    stop: Stop
    resume: bool


def _search(search: _Running, started: float) -> Outcome:
    teachers = _teachers(search)
    ledger = _ledger(search)
    proposals = _proposals(search, ledger, teachers)

    def album(state: str = "running") -> Album:
        return album_of(ledger, teachers, search.folder.name, state)

    with refreshed(album, search.folder, search.writer, draw_apart):
        _tune(search, proposals, ledger)
    search.display.close()
    _check_any(search.stop, ledger)
    search.display.note("measuring the front")
    measure_front(ledger, search.slots)
    state = "failed" if search.stop.error else "stopped" if search.stop else "complete"
    plots = show(album(state), search.folder, search.writer)
    profile = _profile(ledger) if search.spec.compute.profile else {}
    trials = ledger.frame()
    tracked = _end(search, ledger, state)
    return Outcome(
        name=search.folder.name,
        objectives=ledger.objectives,
        trials=trials,
        front=sort_front(trials[trials["front"]], ledger.objectives),
        teachers=teachers,
        folder=search.folder,
        plots=plots,
        refused=len(proposals.refused),
        exhausted=proposals.exhausted,
        stopped=bool(search.stop),
        tracked=tracked,
        uid=str(read_about(search.folder).get("uid") or ""),
        seconds=time.perf_counter() - started,
        profile=profile,
    )


def _ledger(search: _Running) -> Ledger:
    """All trials so far, with the reference point fixed."""
    spec, folder, writer = search.spec, search.folder, search.writer
    writer.set_experiment_tags(saved_views(folder.name, metrics_of(spec)))
    ledger = Ledger(metrics_of(spec), constraints_of(spec), folder, writer)
    ledger.reference = fix_reference(spec, search.slots, folder)
    writer.set_tags(None, {names.REFERENCE: json.dumps(ledger.reference)})
    if search.resume:
        ledger.restore(rerun=True)
    return ledger


def _proposals(search: _Running, ledger: Ledger, teachers: dict[str, dict[str, Any]]) -> Proposals:
    """What to try next, after all that has been tried."""
    layers = remembered_layers(search.facts)
    proposals = Proposals(
        search.spec,
        open_study(search.spec, ledger, search.folder.name),
        ledger,
        resolve=lambda config: match_layers(config, layers),
        cost=cost_of(search.spec, search.facts),
        best_teacher=best_teacher(search.spec, teachers),
    )
    note = search.display.note
    if search.resume:
        proposals.resume()
        ledger.replay()
        kept = sum(not record.unfinished for record in ledger)
        note(f"{kept} trials are kept, {len(ledger.records) - kept} go on")
    search.stop.then(proposals.stop)
    search.stop.then(lambda: note("stopping after the epochs that run now; once more stops at once"))
    return proposals


def _check_any(stop: Stop, ledger: Ledger) -> None:
    """Raise KdsearchError when there is nothing to show, unless somebody stopped the search."""
    if ledger.counts["complete"]:
        return
    if stop.error or not stop:
        reasons = {record.reason for record in ledger if record.reason} or {"no trial was run"}
        raise KdsearchError(stop.error or "no trial succeeded: " + "; ".join(sorted(reasons)))
    if not ledger.records:
        raise StoppedError("stopped before the first trial")


def _end(search: _Running, ledger: Ledger, state: Any) -> bool:
    """Finish the files and the run of a search that is over; returns whether MLflow took everything.

    Raises:
        KdsearchError: When an error stopped it.
    """
    write_about(search.folder, state=state, reason=search.stop.error)
    search.writer.end(state)
    tracked = search.writer.close(MLFLOW_PATIENCE)
    ledger.prune()
    if search.stop.error:
        raise KdsearchError(f"{search.stop.error}\n--resume {search.folder.name} goes on with it")
    tidy(search.folder)
    return tracked


def _profile(ledger: Ledger) -> dict[str, float]:
    """Where the time of all trials went, kept beside the search's other files."""
    seconds = summed(ledger.trial_folder(record.uid) / TABLE for record in ledger)
    write_seconds(seconds, ledger.folder / TABLE)
    ledger.writer.log_artifact(None, ledger.folder / TABLE, "profile")
    return seconds


def _teachers(search: _Running) -> dict[str, dict[str, Any]]:
    storage = local(search.spec.compute.storage)
    try:
        records = get_teachers(search.spec, storage, search.slots, search.display.note)
    except KdsearchError as error:
        if not search.stop:
            raise
        raise StoppedError(f"stopped before the first trial: {error}") from None
    write_whole(search.folder / TEACHERS, dump_yaml(records))
    search.writer.log_text(None, dump_yaml(records), TEACHERS)
    return records


def _tune(search: _Running, proposals: Proposals, ledger: Ledger) -> None:
    from kdsearch.tune.searcher import StudySearcher
    from kdsearch.tune.tuner import lean_tuner

    searcher = StudySearcher(proposals, ledger, search.slots, search.display, search.stop)
    lean_tuner(searcher, search.folder).fit()
    if searcher.failure is not None:
        raise searcher.failure
