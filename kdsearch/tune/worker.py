"""What every worker of a group does: take a job, run it, post what comes of it, and take the next."""

from __future__ import annotations

import errno
import gc
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
from typing import Any

from kdsearch.storage import address_of, fetch, local, send
from kdsearch.tune.folder import LOCK
from kdsearch.tune.jobs import MEASURING, TIMING, JobError, LostError, ask, run_job
from kdsearch.tune.records import CHECKPOINT, DRIVERS, TRACEBACK

#: About what a CUDA context takes with the kernels that a training loads. It cannot be measured here: what is
#: taken of a GPU is known for all of its processes together.
CONTEXT_BYTES = 512 << 20


def work(setup: dict[str, Any]) -> None:
    """The train loop of a worker group, for as long as the search lasts.

    Args:
        setup: `mailbox` (its handle), `slot`, `storage`, `root` (the driver's folder of it), `threads`,
            `gpus`, `folder` (the driver's own), and `timed_elsewhere`, whether another group times students.
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
    torch.set_num_threads(worker.threads)
    if worker.device.type == "cuda" and setup["gpus"] < 1:
        # Other groups are on the same one: none may take what is theirs.
        _, total = torch.cuda.mem_get_info(worker.device)
        torch.cuda.set_per_process_memory_fraction(memory_fraction(setup["gpus"], total), worker.device)
    # The first optimiser imports torch's compiler: a second or more, taken before this group says that it is
    # up and the next one starts beside it.
    torch.optim.SGD([torch.zeros(1)])
    mailbox, slot, token = setup["mailbox"], setup["slot"], _token(worker)
    storage, root = local(setup["storage"]), Path(setup["root"])
    elsewhere = partial(_timed_elsewhere, mailbox, storage, root) if setup["timed_elsewhere"] else None
    session = Session(storage, worker, elsewhere)
    this = ray.get_runtime_context().current_actor
    ended = time.perf_counter()
    for number in count():
        try:
            job = ask(mailbox.take, slot, token, number, this)
        except LostError:
            return  # the search is over, though not well
        if job is None:
            return
        idle = time.perf_counter() - ended
        post = _Post(mailbox, job["uid"], silent=worker.rank > 0)
        failed = False
        folder = Path(job["folder"])
        if folder.is_relative_to(root):
            folder = storage / folder.relative_to(root)
        try:
            post({**_do(job, folder, session, post.epoch, idle), "done": True})
        except Exception as error:
            failed = True
            alone = worker.world_size == 1
            if alone or not _is_of_another(error):
                failure = _failure(error)
                if failure["blame"] == "code" and job["kind"] in ("trial", "confirm"):
                    _write_trace(folder)
                post.failure(failure)
            if not alone:
                # The other workers may be waiting for this one's gradients: only a new group is sound.
                post.flush()
                raise
        if failed:
            # Only now: until the error is let go, its frames hold on to what filled the memory.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        if address_of(folder) and job["kind"] != "teacher" and not (folder.parents[1] / LOCK).exists():
            # What others need is in the bucket, and of a long search this disk holds only so much.
            shutil.rmtree(folder, ignore_errors=True)
        ended = time.perf_counter()


def memory_fraction(share: float, total: int) -> float:
    """What PyTorch may allocate of a GPU's `total` bytes, so that a process stays within its share of them.

    The limit does not cover the CUDA context, which is taken off; at least half of the share is left.
    """
    return max(share - CONTEXT_BYTES / total, share / 2)


def _do(
    job: dict[str, Any], folder: Path, session: Any, report: Callable[[dict[str, float]], bool], idle: float
) -> dict[str, Any]:
    from kdsearch.spec import load_spec

    if job["kind"] in MEASURING and session.worker.rank > 0:
        return {}  # nothing may run beside what is timed
    spec = load_spec(job["config"])
    if job["kind"] in ("finish", "timing"):
        fetch(folder, without=(*DRIVERS, CHECKPOINT))
    match job["kind"]:
        case "teacher":
            return {"record": session.teacher(spec, job["teacher"], report)}
        case "finish":
            metrics = session.finish(spec, folder / "student.safetensors")
            send(folder / "classes.csv")
            return {"metrics": metrics}
        case "untrained":
            return {"metrics": session.untrained(spec, folder)}
        case "timing":
            return {"metrics": session.timed(spec, folder)}
        case "confirm":
            metrics = session.trial(spec, folder, report, repeat=job["repeat"])
            stopped = metrics["epoch"] < spec.optim.epochs
            return {
                "metrics": metrics | session.test(spec, folder / "student.safetensors"),
                "stopped": stopped,
            }
        case _:
            metrics = session.trial(spec, folder, report, idle=idle)
            stopped = metrics["epoch"] < spec.optim.epochs
            if session.worker.rank == 0:
                send(folder, without=(*DRIVERS, CHECKPOINT))
            return {"metrics": metrics, "stopped": stopped}


def _timed_elsewhere(mailbox: Any, storage: Path, root: Path, config: Any, folder: Path) -> dict[str, float]:
    """The timed figures of a config, by metric, from the group that measures; its files are in `folder`."""
    send(folder, without=(*DRIVERS, CHECKPOINT))
    if folder.is_relative_to(storage):
        folder = root / folder.relative_to(storage)
    uid = f"timing-{uuid.uuid4().hex}"
    job = {"uid": uid, "kind": TIMING, "config": config.plain(), "folder": str(folder)}
    try:
        return dict(run_job(mailbox, job)["metrics"])
    except JobError as error:
        raise JobError(f"it could not be timed: {error}") from None


class _Post:
    """Posts of one job. The answer to a post is read with the next one, so that no epoch waits for it.

    Of a group the first worker speaks, unless another fails.
    """

    def __init__(self, mailbox: Any, uid: str, silent: bool) -> None:
        self._mailbox, self._uid, self._silent = mailbox, uid, silent
        self._last: dict[str, Any] = {}
        self._answer: Any = None

    def __call__(self, post: dict[str, Any]) -> None:
        if not self._silent:
            if post.get("done"):
                # An asynchronous actor may run two calls in either order, and this one must be the last.
                self.flush()
            self._last, self._answer = post, self._mailbox.post.remote(self._uid, post)

    def failure(self, post: dict[str, Any]) -> None:
        """Report why the job failed; of several workers the first to say so is believed."""
        self._silent = False
        self({**post, "done": True})

    def epoch(self, metrics: dict[str, float]) -> bool:
        """Report an epoch; False when training should end here."""
        go_on = self._together(self.flush())
        self({"epoch": metrics})
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


def _device() -> Any:
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    from ray.train.torch import get_device

    return get_device()


def _token(worker: Any) -> str:
    """A fresh name for this start of the group, the same for all its workers."""
    from torch import distributed

    names = [uuid.uuid4().hex]
    if worker.world_size > 1:
        distributed.broadcast_object_list(names, src=0)
    return names[0]


def _write_trace(folder: Path) -> None:
    """Keep the calls in which a trial just failed: the author of a part wants to know where."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TRACEBACK).write_text(traceback.format_exc(), encoding="utf-8")
        send(folder / TRACEBACK)


def _is_of_another(error: Exception) -> bool:
    """Whether one of several workers only noticed that another is gone."""
    from torch import distributed

    known = isinstance(error, distributed.DistError)
    return known or any(word in str(error) for word in ("gloo", "NCCL", "Connection closed by peer"))


def _failure(error: Exception) -> dict[str, Any]:
    """Why a job failed, in a line, and what is to blame.

    That is the `recipe`, too little `memory`, the `cluster`, on which the job may run again, or the `code`.
    """
    from torch import OutOfMemoryError

    from kdsearch.distill.loop import TrainingError
    from kdsearch.errors import KdsearchError

    line = (str(error).strip().splitlines() or [""])[0]
    # torch's allocator of host memory raises no class of its own.
    full = isinstance(error, MemoryError | OutOfMemoryError) or "can't allocate memory" in line
    if full:
        return {"error": f"out of memory: {line}", "blame": "memory"}
    # Nor do safetensors and torch.save when they write.
    if any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EROFS, errno.EDQUOT)):
        return {"error": f"nothing can be written: {line}", "blame": "cluster"}
    reason = line if isinstance(error, KdsearchError) else f"{type(error).__name__}: {line}"
    return {"error": reason, "blame": "recipe" if isinstance(error, TrainingError) else "code"}
