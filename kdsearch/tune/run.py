"""A search, from a valid spec to a front."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from kdsearch.constraints import Constraint, parse_constraints
from kdsearch.distill.matching import match_layers
from kdsearch.distill.preflight import Facts, preflight
from kdsearch.errors import InputError, KdsearchError
from kdsearch.measure import measure_architecture
from kdsearch.pareto import sort_front
from kdsearch.registry import find, metric, parts
from kdsearch.spec import Spec, dump_yaml
from kdsearch.tracking import Writer, check_uri, provenance, resolve_uri
from kdsearch.tune.cluster import check_address, check_shared, check_this_machine, connected, groups
from kdsearch.tune.display import Display
from kdsearch.tune.finish import draw, measure_front
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.proposals import Proposals, new_study
from kdsearch.tune.slots import Slots
from kdsearch.tune.teachers import best_teacher, get_teachers

#: A trial actor only waits. It takes a sliver of what every cluster's head has, and no CPU: the worker groups
#: may hold all of those, and Tune accepts no request for nothing.
TRIAL_RESOURCES = {"CPU": 0, "node:__internal_head__": 0.001}


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


def run_search(
    spec: Spec, *, file: str | None, name: str | None, address: str | None, display: Display
) -> Outcome:
    """Run a search to its end, or until Ctrl-C.

    Args:
        spec: What to search.
        file: The file that it came from, for messages.
        name: Of the search; by default the spec's, with a number where that is taken.
        address: Of a Ray cluster; None starts Ray here.
        display: Where it shows how it is going.

    Raises:
        InputError: For whatever is wrong with the input, before Ray is started or a file written.
        KdsearchError: When no trial could be run.
    """
    check_address(address)
    check_uri(spec.tracking.uri)
    check_this_machine(spec, address)
    storage = Path(spec.compute.storage)
    check_storage(storage)
    chosen = free_name(storage / "searches", spec.name, name)
    facts = preflight(spec, file)
    folder = storage / "searches" / chosen
    started = time.perf_counter()
    with connected(address) as resources:
        check_shared(storage)
        count = groups(spec, resources)
        folder.mkdir(parents=True)
        (folder / "spec.yaml").write_text(dump_yaml(spec.plain()), encoding="utf-8")
        slots = Slots(spec.compute, count, storage, folder / "train")
        writer = Writer(
            resolve_uri(spec.tracking.uri), spec.tracking.experiment or spec.name, chosen, resume=False
        )
        writer.start(provenance(), {"spec.yaml": dump_yaml(spec.plain())}, after=slots.wait)
        try:
            outcome = _search(spec, facts, chosen, folder, storage, slots, writer, display, started)
        except BaseException:
            writer.end("failed")
            writer.close(timeout=5)
            raise
        finally:
            slots.close()
    return outcome


def _search(
    spec: Spec,
    facts: Facts,
    name: str,
    folder: Path,
    storage: Path,
    slots: Slots,
    writer: Writer,
    display: Display,
    started: float,
) -> Outcome:
    teachers = get_teachers(spec, storage, slots, display.note)
    writer.text(None, dump_yaml(teachers), "teachers.yaml")
    ledger = Ledger(metrics_of(spec), constraints_of(spec), folder, writer)
    proposals = Proposals(
        spec,
        new_study(spec, ledger, name),
        ledger,
        resolve=lambda config: match_layers(config, _remembering(facts)),
        cost=_cost(facts, ledger.constraints),
        best_teacher=best_teacher(spec, teachers),
    )
    with stoppable(proposals, slots, display) as stopped:
        _tune(proposals, ledger, slots, display, folder)
    display.close()
    if not any(record.state == "complete" for record in ledger):
        reasons = {record.reason for record in ledger if record.reason} or {"no trial was run"}
        if not stopped.is_set():
            raise KdsearchError("no trial succeeded: " + "; ".join(sorted(reasons)))
    display.note("measuring the front")
    measure_front(ledger, slots)
    plots = draw(ledger, teachers, folder)
    trials = ledger.frame()
    front = sort_front(trials[trials["front"]], ledger.objectives) if len(trials) else trials
    for uid in ledger.front.keys:
        if math.isfinite(gain := ledger.gain(ledger[uid])):
            writer.metrics(uid, {"gain": gain})
    for plot in plots:
        writer.artifact(None, plot)
    writer.end("stopped" if stopped.is_set() else "complete")
    tracked = writer.close(timeout=60)
    ledger.prune()
    return Outcome(
        name=name,
        trials=trials,
        front=front,
        teachers=teachers,
        folder=folder,
        plots=plots,
        refused=len(proposals.refused),
        exhausted=proposals.exhausted,
        stopped=stopped.is_set(),
        tracked=tracked,
        seconds=time.perf_counter() - started,
    )


def _tune(proposals: Proposals, ledger: Ledger, slots: Slots, display: Display, folder: Path) -> None:
    from ray import tune

    from kdsearch.tune.searcher import StudySearcher
    from kdsearch.tune.trial import Trial

    tune.Tuner(
        tune.with_resources(Trial, TRIAL_RESOURCES),
        tune_config=tune.TuneConfig(
            search_alg=StudySearcher(proposals, ledger, slots, display),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: str(trial.config["uid"]),
            trial_name_creator=lambda trial: str(trial.config["uid"]),
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder.absolute()),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=2),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    ).fit()


@contextmanager
def stoppable(proposals: Proposals, slots: Slots, display: Display) -> Iterator[threading.Event]:
    """While open, the first Ctrl-C lets running trials finish their epoch; the second is like any other."""
    stopped = threading.Event()

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stopped.set()
        proposals.stop()
        slots.mailbox.stop.remote()
        display.note("stopping after the epochs that run now; once more stops at once")

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def metrics_of(spec: Spec) -> dict[str, Any]:
    """The objectives of a spec under the names of their metrics."""
    return {metric(name): direction for name, direction in spec.objectives.items()}


def constraints_of(spec: Spec) -> list[Constraint]:
    """The constraints of a spec, one by one."""
    known = {*parts("objective"), *metrics_of(spec)}
    return [constraint for text in spec.constraints for constraint in parse_constraints(text, known)]


def _remembering(facts: Facts) -> Any:
    """`facts.layers`, each model built only once."""
    import json

    @lru_cache(maxsize=4096)
    def layers(text: str) -> Any:
        return facts.layers(json.loads(text))

    return lambda model: layers(json.dumps(model, sort_keys=True))


def _cost(facts: Facts, constraints: list[Constraint]) -> Any:
    """What constrained objectives come to for a config, as far as the architecture alone decides."""
    from kdsearch import models

    names = [c.name for c in constraints if c.name in parts("objective")]
    names = [name for name in names if find("objective", name).facts.get("known") == "architecture"]
    known: dict[str, dict[str, float]] = {}

    def cost(config: Mapping[str, Any]) -> dict[str, float]:
        key = str(config["student"])
        if names and key not in known:
            model = models.build(config["student"], facts.shape, len(facts.classes))
            known[key] = measure_architecture(model, facts.shape, names, known=("architecture",))
        return known.get(key, {})

    return cost


def check_storage(storage: Path) -> None:
    """Raise InputError unless the folder is there or can be made, without making it."""
    import os

    above = storage.absolute()
    while not above.exists():
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"compute.storage: {storage} cannot be written: {above} is no folder of yours")


def free_name(searches: Path, wished: str, given: str | None) -> str:
    """The name of a new search. Raises InputError when the one that was given is taken or is no name."""
    import re

    if given is not None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", given):
            raise InputError(f"--name {given}: expected letters, digits, '_', '.' and '-'")
        if (searches / given).exists():
            raise InputError(f"--name {given}: there is a search of this name in {searches}")
        return given
    number, name = 1, wished
    while (searches / name).exists():
        number += 1
        name = f"{wished}-{number}"
    return name
