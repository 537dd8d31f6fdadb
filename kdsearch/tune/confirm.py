"""The front of a search trained again with fresh seeds: what of it was luck."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kdsearch.errors import InputError, KdsearchError
from kdsearch.filenames import CHECKPOINT, STUDENT
from kdsearch.files import write_whole
from kdsearch.measure import figures_of
from kdsearch.pareto import sort_front, to_csv
from kdsearch.pareto.confirmed import Confirmed, judge
from kdsearch.registry import metric
from kdsearch.space import fingerprint, without_teachers
from kdsearch.spec import Spec
from kdsearch.storage import local, mirrored, remove, send
from kdsearch.tracking import Writer
from kdsearch.tracking.names import UID
from kdsearch.tune.cluster import check_address, check_this_machine, connected, start_slots
from kdsearch.tune.folder import RAYS, any_folder, read_about, tidy
from kdsearch.tune.gallery import read_album, scores, show
from kdsearch.tune.jobs import ClusterError, Job, JobError
from kdsearch.tune.records import WORKERS
from kdsearch.tune.search_lock import LOCK
from kdsearch.tune.slots import Slots
from kdsearch.tune.status import actual_state
from kdsearch.tune.stopping import StoppedError
from kdsearch.tune.teachers import get_teachers
from kdsearch.tune.verdicts import keep_verdicts, tell_verdicts

if TYPE_CHECKING:
    from kdsearch.tracking import SearchRecord
    from kdsearch.tune.display import Display


@dataclass(frozen=True)
class Confirmation:
    """The result: the judgement, every fresh run (`uid`, `seed`, metrics), and the files written."""

    confirmed: Confirmed
    runs: pd.DataFrame
    files: list[Path]

    @property
    def table(self) -> pd.DataFrame:
        """A row for each recipe, best first: see `Confirmed`."""
        return self.confirmed.table


def run_confirm(
    record: SearchRecord,
    spec: Spec,
    uri: str,
    reference: Mapping[str, float],
    *,
    seeds: int,
    top: int | None,
    address: str | None,
    display: Display,
) -> Confirmation:
    """Train the members of a front, and the baselines, with fresh seeds, and judge the front by these runs.

    A fresh seed gives other initial weights and other batches, on the same split and from the same teachers.
    Runs that an earlier confirmation made are read, not repeated.

    Args:
        record: The search, as MLflow has it.
        spec: What it searched.
        uri: MLflow's address.
        reference: The point up to which its hypervolumes count.
        seeds: Fresh runs of each recipe, at least 2.
        top: How many members at most, the best by the first objective.
        address: Of a Ray cluster; None starts Ray here.
        display: Shows the progress.

    Raises:
        InputError: When there is no front (yet), nowhere to train, or another process holds the search.
        KdsearchError: When the cluster fails, or fewer than two recipes could be trained again.
    """
    if seeds < 2:
        raise InputError(f"seeds: {seeds}; a spread needs at least 2")
    uid = record.tags.get(UID, "")
    if record.state == "running":
        stands = actual_state(record.name, spec.compute.storage, uid)
        raise InputError(f"search '{record.name}' {stands}; only what is over can be confirmed")
    objectives = {metric(name): way for name, way in spec.objectives.items()}
    chosen, twins = recipes(record.trials, objectives, top)
    if chosen.empty:
        raise InputError(f"search '{record.name}' has no front to confirm")
    check_address(address)
    check_this_machine(spec, address)
    storage = local(spec.compute.storage)
    with any_folder(storage, record.name, "confirm") as folder:
        if (read_about(folder).get("uid") or uid) != uid:
            raise InputError(f"{folder} is of another search '{record.name}' than the one in MLflow")
        (folder / "confirm").mkdir(exist_ok=True)
        with connected(address) as cluster, mirrored(folder, without=(*RAYS, *WORKERS, LOCK)):
            slots = start_slots(spec, cluster, storage, folder, display.note)
            try:
                teachers = get_teachers(spec, storage, slots, display.note)
                runs, failed = _train(chosen, seeds, folder / "confirm", slots, display)
            finally:
                slots.close()
                tidy(folder)
        if not len(runs) or runs["uid"].nunique() < 2:
            raise KdsearchError("fewer than two recipes could be trained again")
        noisy = [name for name in map(str, runs) if name in _noisy(spec) or name.startswith("test_")]
        confirmed = judge(
            _as_built(chosen, twins, set(objectives) - {*noisy}),
            runs,
            objectives,
            noisy=noisy,
            reference=reference,
            twins=twins,
            failed=failed,
        )
        album = read_album(record, objectives, reference, folder)
        album = replace(album, teachers=scores(teachers), confirmed=confirmed)
        writer = Writer(uri, spec.tracking.experiment or spec.name, record.name, uid=uid or None)
        writer.start({})
        ended: Any = record.state
        try:
            files = [*show(album, folder, writer), *_keep(confirmed, runs, folder, writer)]
        finally:
            writer.end(ended)
            tracked = writer.close(timeout=60)
        for path in files:
            send(path)
        if not tracked:
            display.note(f"MLflow did not take everything; the files in {folder} are complete")
    return Confirmation(confirmed, runs, files)


def _keep(confirmed: Confirmed, runs: pd.DataFrame, folder: Path, writer: Writer) -> list[Path]:
    """Write the judgement and the runs to `folder`, and tell MLflow of them; returns the files."""
    tables = {"confirmed.csv": confirmed.table, "confirmed_runs.csv": runs}
    for name, table in tables.items():
        write_whole(folder / name, to_csv(table))
        writer.log_artifact(None, folder / name)
    verdicts = keep_verdicts(confirmed, folder)
    tell_verdicts(folder, writer)
    return [*(folder / name for name in tables), verdicts]


def recipes(
    trials: pd.DataFrame, objectives: Mapping[str, Any], top: int | None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The trials to confirm, and the uid of the twin without teachers of each.

    They are the members of the front (the best `top` of them), their twins, and the baselines that the
    search began with, as far as these were trained.
    """
    done = trials[trials["state"] == "complete"]
    members = sort_front(done[done["front"]], objectives).head(top if top is not None else len(done))
    twins = {
        str(uid): fingerprint(without_teachers(config))
        for uid, config in members[["uid", "config"]].to_numpy()
    }
    firsts = done[done["baseline"] != ""].drop_duplicates("baseline")
    others = done[done["uid"].isin([*twins.values(), *firsts["uid"]]) & ~done["uid"].isin(members["uid"])]
    return (pd.concat([members, others]) if len(members) else members), twins


def _as_built(chosen: pd.DataFrame, twins: Mapping[str, str], names: set[str]) -> pd.DataFrame:
    """`chosen`, with what the architecture decides taken from the member where a twin shares it.

    A member's latency was taken alone, at the end of the search; its twin's may be an estimate.
    """
    built = chosen.set_index("uid", drop=False)
    for uid, twin in twins.items():
        if twin in built.index:
            built.loc[twin, list(names)] = built.loc[uid, list(names)]
    return built.reset_index(drop=True)


def _train(
    chosen: pd.DataFrame, seeds: int, folder: Path, slots: Slots, display: Display
) -> tuple[pd.DataFrame, Counter[str]]:
    """Every fresh run that can be had, as rows: read from file, or trained in the worker groups.

    Also how many runs of each recipe did not end, by uid.
    """
    jobs = [(str(row["uid"]), row, seed) for seed in range(1, seeds + 1) for row in chosen.to_dict("records")]
    done = 0

    def run(uid: str, row: Mapping[Any, Any], seed: int) -> dict[str, Any] | None:
        nonlocal done
        place = folder / f"{uid}-{seed}"
        metrics = _read(place) or _one(place, row["config"], f"{uid}-{seed}", seed, slots, display)
        done += 1
        if metrics is None:
            return None
        display.note(
            f"[{done}/{len(jobs)}] seed {seed}: accuracy {metrics['accuracy']:.4f} | {row['recipe']}"
        )
        return {"uid": uid, "seed": seed, **metrics}

    with ThreadPoolExecutor(slots.count) as pool:
        try:
            rows = list(pool.map(lambda job: run(*job), jobs))
        except (KeyboardInterrupt, ClusterError):
            # What is finished is on file, and the next confirmation goes on from there.
            pool.shutdown(wait=False, cancel_futures=True)
            slots.mailbox.stop.remote()
            raise
    failed = Counter(uid for (uid, _, _), row in zip(jobs, rows, strict=True) if row is None)
    return pd.DataFrame([row for row in rows if row is not None]), failed


def _one(
    place: Path, config: dict[str, Any], uid: str, seed: int, slots: Slots, display: Display
) -> dict[str, Any] | None:
    job: Job = {
        "uid": f"confirm-{uid}",
        "kind": "confirm",
        "config": config,
        "folder": str(place.absolute()),
        "repeat": seed,
    }
    try:
        post = slots.run(job)
    except StoppedError:
        return None
    except ClusterError:
        raise
    except JobError as error:
        display.note(f"seed {seed} of {uid.partition('-')[0]} failed: {error}")
        return None
    if post["stopped"]:
        return None
    for pattern in (STUDENT, CHECKPOINT):
        remove(place, pattern)
    place.mkdir(parents=True, exist_ok=True)
    write_whole(place / "metrics.json", json.dumps(post["metrics"]))
    return dict(post["metrics"])


def _read(place: Path) -> dict[str, Any] | None:
    try:
        metrics: dict[str, Any] = json.loads((place / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return metrics


def _noisy(spec: Spec) -> set[str]:
    """The metrics that follow from what a student predicts, and so differ from run to run."""
    return {each.name for each in figures_of(spec) if each.basis in ("predictions", "trained")}
