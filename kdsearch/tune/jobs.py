"""Jobs, as those see them who order them: the mailbox of a search gives them to its worker groups."""

from __future__ import annotations

import time
from typing import Any

from kdsearch.errors import KdsearchError
from kdsearch.tune.stopping import StoppedError

#: Kinds of jobs that train.
TRAINING = ("trial", "teacher", "confirm")
#: Kinds of jobs that measure: of a group that does nothing else, where there is one.
TIMING = "timing"
MEASURING = (TIMING, "finish", "untrained")

Job = dict[str, Any]
Post = dict[str, Any]


class JobError(KdsearchError):
    """A job failed."""


class ClusterError(JobError):
    """A job failed for what happened around it, as a disk that filled up: run again, it may not."""


class LostError(KdsearchError):
    """The mailbox is gone: what was under way goes on when the search is resumed."""

    def __init__(self, message: str = "the process on the head node that hands out the trials died") -> None:
        super().__init__(message)


def submit(mailbox: Any, job: Job) -> None:
    """Queue a job; once this has returned it can be asked what it posts. Raises LostError."""
    ask(mailbox.submit, job)


def run_job(mailbox: Any, job: Job) -> Post:
    """Submit one job and wait for its end. Returns the last post.

    Raises:
        JobError: When it failed, a ClusterError where that was no fault of its own.
        StoppedError: When it was stopped before it began.
        LostError: When the mailbox is gone.
    """
    uid, seen = job["uid"], 0
    submit(mailbox, job)
    while True:
        posts = ask(mailbox.posts, uid, seen)
        seen += len(posts)
        if posts[-1].get("done"):
            break
    mailbox.forget.remote(uid)
    last: Post = posts[-1]
    if "error" in last:
        raise (ClusterError if last.get("blame") == "cluster" else JobError)(last["error"])
    if last.keys() == {"stopped", "done"}:
        raise StoppedError("stopped before it began")
    return last


def ask(method: Any, *arguments: Any) -> Any:
    """What a method of the mailbox returns.

    On a machine under load it may not be reached for a while, and is asked again: every method may be called
    twice for once.

    Raises:
        LostError: When the mailbox is gone.
    """
    import ray

    while True:
        try:
            return ray.get(method.remote(*arguments))
        except ray.exceptions.ActorUnavailableError:
            time.sleep(1)
        except ray.exceptions.RayActorError:
            raise LostError from None
