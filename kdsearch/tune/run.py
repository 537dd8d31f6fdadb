"""A search, from a valid spec to a front."""

from __future__ import annotations

import json
import math
import time
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
from kdsearch.pareto import sort_front
from kdsearch.pareto.album import Album
from kdsearch.spec import Spec, constraints_of, dump_yaml, metrics_of
from kdsearch.storage import local, mirrored
from kdsearch.tracking import Writer, check_uri, provenance, resolve_uri, saved_views
from kdsearch.tune.cluster import (
    check_address,
    check_shared,
    check_this_machine,
    connected,
    start_slots,
)
from kdsearch.tune.display import Display, Logged
from kdsearch.tune.finish import measure_front
from kdsearch.tune.folder import (
    LOCK,
    LOG,
    RAYS,
    SPEC,
    TEACHERS,
    check_same_space,
    check_storage,
    is_unfinished,
    new_folder,
    old_folder,
    tidy,
    write_about,
)
from kdsearch.tune.gallery import album_of, refreshed, show
from kdsearch.tune.known import cost_of, remembering
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.proposals import Proposals
from kdsearch.tune.records import WORKERS
from kdsearch.tune.reference import fix_reference
from kdsearch.tune.slots import HEAD, Slots
from kdsearch.tune.stopping import Stop, StoppedError, stoppable
from kdsearch.tune.study import open_study
from kdsearch.tune.teachers import best_teacher, get_teachers

#: A trial actor only waits. It takes a sliver of what every cluster's head has, and no CPU: the worker groups
#: may hold all of those, and Tune accepts no request for nothing.
TRIAL_RESOURCES = {"CPU": 0, HEAD: 0.001}
#: Seconds to wait at the end for an MLflow that is away. `kdsearch sync` tells it the rest later.
MLFLOW_PATIENCE = 30.0
#: How often the actor of a trial may die before the trial is given up.
_ACTORS = 10


@dataclass(frozen=True)
class Outcome:
    """What a search came to: all trials, those of the front, and where the files are."""

    name: str
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
        name: Of the search; by default the spec's, with a number where that is taken.
        resume: Go on with the search of that name: what is finished is kept.
        address: Of a Ray cluster; None starts Ray here.
        display: Where it shows how it is going.

    Raises:
        InputError: For whatever is wrong with the input, before Ray is started or a file written.
        KdsearchError: When no trial could be run, three in a row failed in the same way, or the disk is full.
    """
    check_address(address)
    check_uri(spec.tracking.uri)
    check_this_machine(spec, address)
    storage = local(spec.compute.storage)
    check_storage(storage)
    held = old_folder(storage, name) if resume and name else new_folder(storage, spec.name, name)
    with held as folder:
        if resume:
            check_same_space(folder, spec)
        elif is_unfinished(folder.with_name(spec.name)):
            display.note(f"search {spec.name} is not finished: --resume {spec.name} goes on with it")
        facts = preflight(spec, file)
        started = time.perf_counter()
        with connected(address) as cluster, mirrored(folder, without=(*RAYS, *WORKERS, LOCK)):
            check_shared(storage)
            slots = start_slots(spec, cluster, storage, folder, display.note)
            return _attended(spec, facts, folder, slots, resume, Logged(display, folder / LOG), started)


def _attended(
    spec: Spec, facts: Facts, folder: Path, slots: Slots, resume: bool, display: Display, started: float
) -> Outcome:
    """Run a search, and leave its files, MLflow and the worker groups in order however it ends."""
    experiment, tags = spec.tracking.experiment or spec.name, provenance()
    writer = Writer(resolve_uri(spec.tracking.uri), experiment, folder.name, resume=resume)
    patience = 20.0
    try:
        (folder / SPEC).write_text(dump_yaml(spec.plain()), encoding="utf-8")
        write_about(folder, experiment=experiment, tags=tags, state="running", reason="")
        writer.start(tags, {SPEC: dump_yaml(spec.plain())}, after=slots.wait)
        with stoppable(folder) as stop:
            stop.then(slots.stop)
            return _search(spec, facts, folder, slots, writer, display, stop, resume, started)
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
        raise
    finally:
        slots.close(patience)


def _search(
    spec: Spec,
    facts: Facts,
    folder: Path,
    slots: Slots,
    writer: Writer,
    display: Display,
    stop: Stop,
    resume: bool,
    started: float,
) -> Outcome:
    teachers = _teachers(spec, slots, display, stop)
    (folder / TEACHERS).write_text(dump_yaml(teachers), encoding="utf-8")
    writer.text(None, dump_yaml(teachers), TEACHERS)
    writer.experiment(saved_views(folder.name, metrics_of(spec)))
    ledger = Ledger(metrics_of(spec), constraints_of(spec), folder, writer)
    ledger.reference = fix_reference(spec, slots, folder)
    writer.tag(None, {"kdsearch.reference": json.dumps(ledger.reference)})
    if resume:
        ledger.restore()
    layers = remembering(facts)
    study = open_study(spec, ledger, folder.name)
    proposals = Proposals(
        spec,
        study,
        ledger,
        resolve=lambda config: match_layers(config, layers),
        cost=cost_of(spec, facts),
        best_teacher=best_teacher(spec, teachers),
    )
    if resume:
        proposals.resume()
        ledger.replay()
        kept = sum(not record.unfinished for record in ledger)
        display.note(f"{kept} trials are kept, {len(ledger.records) - kept} go on")
    stop.then(proposals.stop)
    stop.then(lambda: display.note("stopping after the epochs that run now; once more stops at once"))

    def album(state: str = "running") -> Album:
        return album_of(ledger, study, teachers, folder.name, state)

    with refreshed(album, folder, writer):
        _tune(proposals, ledger, slots, display, stop, folder)
    display.close()
    if not any(record.state == "complete" for record in ledger):
        reasons = {record.reason for record in ledger if record.reason} or {"no trial was run"}
        if stop.error or not stop:
            raise KdsearchError(stop.error or "no trial succeeded: " + "; ".join(sorted(reasons)))
    display.note("measuring the front")
    measure_front(ledger, slots)
    for uid in ledger.front.keys:
        if math.isfinite(gain := ledger.gain(ledger[uid])):
            ledger.remeasure(uid, {"gain": gain})
    state: Any = "failed" if stop.error else "stopped" if stop else "complete"
    plots = show(album(state), folder, writer)
    profile = _profile(ledger) if spec.compute.profile else {}
    trials = ledger.frame()
    front = sort_front(trials[trials["front"]], ledger.objectives) if len(trials) else trials
    write_about(folder, state=state, reason=stop.error)
    writer.end(state)
    tracked = writer.close(MLFLOW_PATIENCE)
    ledger.prune()
    if stop.error:
        raise KdsearchError(f"{stop.error}\n--resume {folder.name} goes on with it")
    tidy(folder)
    return Outcome(
        name=folder.name,
        trials=trials,
        front=front,
        teachers=teachers,
        folder=folder,
        plots=plots,
        refused=len(proposals.refused),
        exhausted=proposals.exhausted,
        stopped=bool(stop),
        tracked=tracked,
        seconds=time.perf_counter() - started,
        profile=profile,
    )


def _profile(ledger: Ledger) -> dict[str, float]:
    """Where the time of all trials went, kept beside the search's other files."""
    seconds = summed(ledger.trial_folder(record.uid) / TABLE for record in ledger)
    write_seconds(seconds, ledger.folder / TABLE)
    ledger.writer.artifact(None, ledger.folder / TABLE, "profile")
    return seconds


def _teachers(spec: Spec, slots: Slots, display: Display, stop: Stop) -> dict[str, dict[str, Any]]:
    try:
        return get_teachers(spec, local(spec.compute.storage), slots, display.note)
    except KdsearchError as error:
        if not stop:
            raise
        raise StoppedError(f"stopped before the first trial: {error}") from None


def _tune(
    proposals: Proposals, ledger: Ledger, slots: Slots, display: Display, stop: Stop, folder: Path
) -> None:
    from ray import tune

    from kdsearch.tune.searcher import InOrder, StudySearcher
    from kdsearch.tune.trial import Trial

    searcher = StudySearcher(proposals, ledger, slots, display, stop)
    tune.Tuner(
        tune.with_resources(Trial, TRIAL_RESOURCES),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=InOrder(),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: str(trial.config["uid"]),
            trial_name_creator=lambda trial: str(trial.config["uid"]),
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder.absolute()),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=_ACTORS),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    ).fit()
    if searcher.failure is not None:
        raise searcher.failure
