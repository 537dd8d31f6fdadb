"""Worker groups that live as long as a search, one for each trial that runs at the same time.

Starting a worker group takes seconds, so a trial does not: it is a message to a group that is there. Each
group is one Ray Train run, which places it, joins its workers for data parallelism and restarts the dead.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from kdsearch.spec import Compute
from kdsearch.storage import address_of
from kdsearch.tune.jobs import Job, Post, ask, notes_in, run_job, submit

_log = logging.getLogger(__name__)

#: A resource that the head node of every cluster has, and no other node.
HEAD = "node:__internal_head__"
#: How often workers of a group may die, over a whole search, before the group is given up. A job fails after
#: three deaths, so only nodes that are preempted for days come to this.
_RESTARTS = 1000
#: Seconds in which a mailbox that is alive answers.
_ANSWER = 10.0


class Slots:
    """The worker groups of a search, started in the background."""

    def __init__(
        self,
        compute: Compute,
        count: int,
        storage: Path,
        folder: Path,
        note: Callable[[str], None],
        measuring: Mapping[str, float] | None = None,
    ) -> None:
        """
        Args:
            compute: The resources of a group.
            count: How many groups.
            storage: Of teachers and timings.
            folder: Where Ray Train keeps its own files.
            note: Called with each line that workers log, and with no line twice.
            measuring: Ray's resources of one more worker, which does all that is measured and nothing else;
                by default each group measures what it trains.
        """
        import ray

        import kdsearch.tune.trainer  # noqa: F401  here, not in the threads: Ray's modules import each other
        from kdsearch.tune.mailbox import Mailbox

        self.count = count
        self.name = f"kdsearch-mailbox-{uuid.uuid4().hex[:12]}"
        # On the head, where the search itself lives: any other node may go.
        placed = {"name": self.name, "max_concurrency": 10_000, "resources": {HEAD: 0.001}}
        self._measures = count if measuring else None
        self.mailbox: Any = Mailbox.options(**placed).remote(  # type: ignore[attr-defined]
            compute.epoch_timeout, compute.workers, self._measures
        )
        self._alive, self._guard = count, Lock()
        self._show, self._shown = note, set[str]()
        self._up = Event()
        self.stopping = Event()
        self._ray = ray
        bundle = {"CPU": float(compute.cpus_per_worker)} | (
            {"GPU": float(compute.gpus_per_worker)} if compute.gpus_per_worker else {}
        )
        groups = [(compute.workers, bundle)] * count + ([(1, dict(measuring))] if measuring else [])
        self._threads = [
            Thread(target=self._run, args=(slot, *group, storage, folder), name=f"slot-{slot}", daemon=True)
            for slot, group in enumerate(groups)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, slot: int, workers: int, bundle: Mapping[str, float], storage: Path, folder: Path) -> None:
        measures = slot == self._measures
        try:
            if slot == 0 and self._measures is not None:
                # It must have its node: the only one of its kind might be filled with training.
                self._ray.get(self.mailbox.ready.remote(self._measures))
            elif slot > 0 and not measures:
                # The first trial begins sooner when only its own group starts.
                self.wait()
                self._up.set()
            self._train(slot, workers, bundle, storage, folder)
        except Exception as error:
            _log.warning("worker group %d is gone: %s", slot, error)
            with self._guard:
                self._alive -= not measures
            self.mailbox.lose.remote(slot)
            if measures or not self._alive:
                what = "the worker that measures is gone" if measures else "no worker group is left"
                self.mailbox.fail.remote(f"{what}: {error}")

    def _train(
        self, slot: int, workers: int, bundle: Mapping[str, float], storage: Path, folder: Path
    ) -> None:
        from ray.train import FailureConfig, RunConfig, ScalingConfig

        from kdsearch.tune.trainer import LeanTrainer
        from kdsearch.tune.worker import work

        trainer = LeanTrainer(
            work,
            workers=workers,
            train_loop_config={
                "mailbox": self.mailbox,
                "slot": slot,
                "storage": address_of(storage) or str(storage.absolute()),
                "root": str(storage.absolute()),
                "threads": max(1, int(bundle["CPU"])),
                "gpus": bundle.get("GPU", 0.0),
                "folder": str(Path.cwd()),
                "timed_elsewhere": self._measures not in (None, slot),
            },
            scaling_config=ScalingConfig(
                num_workers=workers, use_gpu="GPU" in bundle, resources_per_worker=dict(bundle)
            ),
            run_config=RunConfig(
                name=f"slot-{slot}",
                # A bucket Ray reaches by itself: this folder is not there on other nodes.
                storage_path=address_of(folder) or str(folder.absolute()),
                failure_config=FailureConfig(max_failures=_RESTARTS),
            ),
        )
        trainer.fit()

    def submit(self, job: Job) -> None:
        """Queue a job; once this has returned, its posts can be asked for. Raises LostError."""
        submit(self.mailbox, job)

    def run(self, job: Job) -> Post:
        """Submit one job and wait for its end. Returns the last post; raises as `run_job` does."""
        return run_job(self.mailbox, job, self._note)

    def show_notes(self, posts: Iterable[Post]) -> None:
        """Show what the workers have logged, as some posts carry it."""
        for text in notes_in(posts):
            self._note(text)

    def _note(self, text: str) -> None:
        with self._guard:
            if text in self._shown:
                return
            self._shown.add(text)
        self._show(text)

    @property
    def open(self) -> int:
        """How many groups are up or starting: the first alone until it is up."""
        return self.count if self._up.is_set() else 1

    def wait(self) -> None:
        """Return once a worker group that trains is up, or none will be."""
        ask(self.mailbox.ready)

    @property
    def lost(self) -> bool:
        """Whether the mailbox is gone."""
        try:
            self._ray.get(self.mailbox.__ray_ready__.remote(), timeout=_ANSWER)
        except (self._ray.exceptions.GetTimeoutError, self._ray.exceptions.ActorUnavailableError):
            return False
        except self._ray.exceptions.RayActorError:
            return True
        return False

    def stop(self) -> None:
        """Let every job end after its current epoch."""
        self.stopping.set()
        self.mailbox.stop.remote()

    def close(self, timeout: float = 20.0) -> None:
        """Let all groups finish their current jobs, for `timeout` seconds at most, and free their resources.

        Without any time, running jobs are killed; the groups end with Ray, or once they are up again.
        """
        self.stopping.set()
        if not timeout:
            with suppress(self._ray.exceptions.RayError):
                self._ray.get(self.mailbox.abandon.remote(), timeout=_ANSWER)
            return
        self.mailbox.close.remote()
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._ray.kill(self.mailbox)


def quiet_ray() -> None:
    """Settings of Ray's that a search wants, unless the user chose otherwise. Call before importing Ray."""
    for name, value in {
        # A worker that died is seen within a second instead of two.
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",
        "RAY_TRAIN_METRICS_ENABLED": "0",
        "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
        "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        # The searcher proposes no more trials than there are groups.
        "TUNE_MAX_PENDING_TRIALS_PG": "1000",
        # Its snapshots hold every trial, and take longer with each. A search is resumed from its own files.
        "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
        "TUNE_RESULT_BUFFER_LENGTH": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }.items():
        os.environ.setdefault(name, value)
