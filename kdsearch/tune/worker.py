"""What every worker of a group does: take a job from the mailbox, run it, post its results, and repeat."""

from __future__ import annotations

import errno
import gc
import logging
import os
import shutil
import time
import traceback
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.errors import KdsearchError, first_line
from kdsearch.filenames import CHECKPOINT, CLASSES, WEIGHTS
from kdsearch.storage import address_of, fetch, local, send
from kdsearch.tune.jobs import MEASURING, Job, JobError, LostError, Post, ask, run_job
from kdsearch.tune.notes import Notes
from kdsearch.tune.records import DRIVERS, TRACEBACK
from kdsearch.tune.search_lock import LOCK

if TYPE_CHECKING:
    import torch

    from kdsearch.distill.session import Session
    from kdsearch.distill.worker import Worker
    from kdsearch.spec import Spec

_log = logging.getLogger(__name__)

#: About what a CUDA context takes with the kernels that a training loads. It cannot be measured here: what is
#: taken of a GPU is known for all of its processes together.
CONTEXT_BYTES = 512 << 20


def work(setup: dict[str, Any]) -> None:
    """The train loop of a worker group, for as long as the search lasts.

    Args:
        setup: `mailbox` (its handle), `slot`, `storage`, `root` (the storage folder as the driver sees it),
            `threads`, `gpus`, `folder` (in which the driver runs), and `timed_elsewhere`, whether another
            group times students.
    """
    import ray
    import ray.train
    import torch

    from kdsearch.distill.session import Session
    from kdsearch.distill.worker import Worker

    if Path(setup["folder"]).is_dir():
        os.chdir(setup["folder"])
    context = ray.train.get_context()
    worker = Worker(_device(), context.get_world_rank(), context.get_world_size(), setup["threads"])
    # The workers of a node share its folder, and the first may still be writing to it when others are done.
    cleans = context.get_local_rank() == 0
    torch.set_num_threads(worker.threads)
    if worker.device.type == "cuda" and setup["gpus"] < 1:
        # Other groups share the GPU: none may take more than its share of the memory.
        _, total = torch.cuda.mem_get_info(worker.device)
        torch.cuda.set_per_process_memory_fraction(memory_fraction(setup["gpus"], total), worker.device)
    # The first optimiser imports torch's compiler, which takes a second or more: better before this group
    # reports that it is up, and the next one starts beside it.
    torch.optim.SGD([torch.zeros(1)])
    notes = Notes()
    notes.install()
    mailbox, slot, token = setup["mailbox"], setup["slot"], _token(worker)
    storage, root = local(setup["storage"]), Path(setup["root"])
    elsewhere = partial(_timed_elsewhere, mailbox, storage, root) if setup["timed_elsewhere"] else None
    session = Session(storage, worker, elsewhere)
    this = ray.get_runtime_context().current_actor
    ended = time.perf_counter()
    for number in count():
        try:
            job: Job | None = ask(mailbox.take, slot, token, number, this)
        except LostError:
            return  # the mailbox died, and the search with it
        if job is None:
            return
        idle = time.perf_counter() - ended
        posts = _Posts(mailbox, job["uid"], notes, silent=worker.rank > 0)
        failed = False
        folder = Path(job["folder"])
        if folder.is_relative_to(root):
            folder = storage / folder.relative_to(root)
        # Who trains what is only timed here may be a process of this node, and not done with it.
        borrowed = job["kind"] == "timing" and folder.exists()
        try:
            posts.send({**_do(job, folder, session, posts.epoch, idle), "done": True})
        except Exception as error:
            failed = True
            alone = worker.world_size == 1
            if alone or not _is_of_another(error):
                failure = _failure(error)
                if failure["blame"] == "code" and job["kind"] in ("trial", "confirm"):
                    _write_trace(folder)
                posts.failure(failure)
            if not alone:
                # The other workers may be waiting for this one's gradients: only a new group is sound.
                posts.flush()
                raise
        if failed:
            # Not before: until the error is released, its frames hold what filled the memory.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        driven = job["kind"] == "teacher" or _is_drivers(folder)
        if cleans and address_of(folder) and not driven and not borrowed:
            # Others read it from the bucket, and this disk may be too small for a long search.
            shutil.rmtree(folder, ignore_errors=True)
        ended = time.perf_counter()


def memory_fraction(share: float, total: int) -> float:
    """What PyTorch may allocate of a GPU's `total` bytes, so that a process stays within its share of them.

    The limit does not cover the CUDA context, which is taken off; at least half of the share is left.
    """
    return max(share - CONTEXT_BYTES / total, share / 2)


def _is_drivers(folder: Path) -> bool:
    """Whether a trial's folder belongs to the search folder that the driver holds, on this machine."""
    return (folder.parents[1] / LOCK).exists()


def _do(
    job: Job, folder: Path, session: Session, report: Callable[[dict[str, float]], bool], idle: float
) -> Post:
    """Do a job, and return its final post, which counts only from the first worker of the group."""
    from kdsearch.spec import load_spec

    if job["kind"] in MEASURING and session.worker.rank > 0:
        return {}  # the first worker measures alone: nothing may run beside it
    spec = load_spec(job["config"])
    if job["kind"] in ("finish", "timing"):
        fetch(folder, without=(*DRIVERS, CHECKPOINT))
    match job["kind"]:
        case "teacher":
            return {"record": session.teacher(spec, job["teacher"], report)}
        case "finish":
            metrics = session.finish(spec, folder / WEIGHTS)
            send(folder / CLASSES)
            return {"metrics": metrics}
        case "untrained":
            return {"metrics": session.untrained(spec, folder)}
        case "timing":
            return {"metrics": session.timed(spec, folder)}
        case "confirm":
            metrics = session.trial(spec, folder, report, repeat=job["repeat"])
            stopped = metrics["epoch"] < spec.optim.epochs
            if session.worker.rank == 0:  # which alone has written the student
                metrics |= session.test(spec, folder / WEIGHTS)
            return {"metrics": metrics, "stopped": stopped}
        case "trial":
            metrics = session.trial(spec, folder, report, idle=idle)
            stopped = metrics["epoch"] < spec.optim.epochs
            if session.worker.rank == 0:
                send(folder, without=(*DRIVERS, CHECKPOINT))
            return {"metrics": metrics, "stopped": stopped}
        case kind:
            raise ValueError(f"unknown kind of job: {kind!r}")


def _timed_elsewhere(mailbox: Any, storage: Path, root: Path, config: Spec, folder: Path) -> dict[str, float]:
    """The timed figures of a config, by metric, from the group that measures; `folder` holds its files."""
    send(folder, without=(*DRIVERS, CHECKPOINT))
    if folder.is_relative_to(storage):
        folder = root / folder.relative_to(storage)
    uid = f"timing-{uuid.uuid4().hex}"
    job: Job = {"uid": uid, "kind": "timing", "config": config.plain(), "folder": str(folder)}
    try:
        return dict(run_job(mailbox, job, _log.info)["metrics"])
    except JobError as error:
        raise JobError(f"it could not be timed: {error}") from None


class _Posts:
    """The posts of one job. The answer to a post is read with the next one, so that no epoch waits for it.

    Of a group only the first worker reports on the job, unless another fails; every one passes on its notes.
    """

    def __init__(self, mailbox: Any, uid: str, notes: Notes, silent: bool) -> None:
        self._mailbox, self._uid, self._notes, self._silent = mailbox, uid, notes, silent
        self._last: Post = {}
        self._answer: Any = None

    def send(self, post: Post) -> None:
        """Post to the mailbox, without waiting until it arrives."""
        if self._silent:
            post = {}
        if notes := self._notes.take():
            post = {**post, "notes": notes}
        if not post:
            return
        if post.get("done"):
            # An asynchronous actor may run two calls in either order, and this one must be the last.
            self.flush()
        self._last, self._answer = post, self._mailbox.post.remote(self._uid, post)

    def failure(self, post: Post) -> None:
        """Report why the job failed; of several workers the first to say so is believed."""
        self._silent = False
        self.send({**post, "done": True})

    def epoch(self, metrics: dict[str, float]) -> bool:
        """Report an epoch; False when training should end here."""
        go_on = self._together(self.flush())
        self.send({"epoch": metrics})
        return go_on

    def flush(self) -> bool:
        """Wait for the last post to arrive, and return its answer."""
        import ray

        if self._answer is None:
            return True
        try:
            return bool(ray.get(self._answer))
        except ray.exceptions.ActorUnavailableError:
            return bool(ask(self._mailbox.post, self._uid, self._last))

    def _together(self, go_on: bool) -> bool:
        """All workers of a group do what the first one decides."""
        import torch
        from torch import distributed

        if not distributed.is_initialized() or distributed.get_world_size() == 1:
            return go_on
        decision = torch.tensor([go_on], dtype=torch.int32, device=_device())
        distributed.broadcast(decision, src=0)
        return bool(decision.item())


def _device() -> torch.device:
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    from ray.train.torch import get_device

    device: torch.device = get_device()
    return device


def _token(worker: Worker) -> str:
    """A fresh name for this start of the group, the same for all its workers."""
    from torch import distributed

    names = [uuid.uuid4().hex]
    if worker.world_size > 1:
        distributed.broadcast_object_list(names, src=0)
    return names[0]


def _write_trace(folder: Path) -> None:
    """Keep the traceback of the current error, for whoever wrote the part that failed."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TRACEBACK).write_text(traceback.format_exc(), encoding="utf-8")
        send(folder / TRACEBACK)


def _is_of_another(error: Exception) -> bool:
    """Whether an error only says that another worker of the group is gone."""
    from torch import distributed

    known = isinstance(error, distributed.DistError)
    return known or any(word in str(error) for word in ("gloo", "NCCL", "Connection closed by peer"))


def _failure(error: Exception) -> Post:
    """Why a job failed, in a line, and what is to blame: `error` and `blame` of its last post."""
    from torch import OutOfMemoryError

    from kdsearch.distill.loop import TrainingError

    line = first_line(error)
    # torch's allocator of host memory raises no class of its own.
    full = isinstance(error, MemoryError | OutOfMemoryError) or "can't allocate memory" in line
    if full:
        return {"error": f"out of memory: {line}", "blame": "memory"}
    # Nor do safetensors and torch.save when they write.
    if any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EROFS, errno.EDQUOT)):
        return {"error": f"nothing can be written: {line}", "blame": "cluster"}
    plain = isinstance(error, KdsearchError) or not str(error).strip()
    reason = line if plain else f"{type(error).__name__}: {line}"
    return {"error": reason, "blame": "recipe" if isinstance(error, TrainingError) else "code"}
