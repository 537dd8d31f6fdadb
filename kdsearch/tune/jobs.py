"""Jobs, which the mailbox of a search hands to its worker groups, and the posts that come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Literal, NotRequired, TypedDict

from kdsearch.errors import KdsearchError
from kdsearch.tune.stopping import StoppedError

Kind = Literal["trial", "teacher", "confirm", "finish", "untrained", "timing"]

#: Kinds of jobs that train.
TRAINING: tuple[Kind, ...] = ("trial", "teacher", "confirm")
#: Kinds of jobs that measure: run by a group that does nothing else, where there is one.
MEASURING: tuple[Kind, ...] = ("timing", "finish", "untrained")

Blame = Literal["recipe", "memory", "cluster", "code"]
"""What made a job fail: its recipe, too little memory, the cluster (it may be run again), or a bug."""


class Job(TypedDict):
    """What a worker group is asked to do."""

    uid: str
    kind: Kind
    config: dict[str, Any]
    """The spec, as plain values."""
    folder: str
    """The absolute path of the folder for its files, as the driver sees it."""
    teacher: NotRequired[str]
    """The name of the teacher to train."""
    repeat: NotRequired[int]
    """The fresh seed of a confirmation, from 1."""


class Post(TypedDict, total=False):
    """A message about a job. The last one has `done`; one that has `error` too says that the job failed."""

    done: bool
    epoch: dict[str, float]
    """The metrics of an epoch."""
    metrics: dict[str, Any]
    """The final figures."""
    record: dict[str, Any]
    """Of a trained teacher."""
    stopped: bool
    """Whether it was stopped early; alone with `done`, before it began."""
    error: str
    blame: Blame
    notes: list[str]
    """What the worker has logged since its last post."""


class JobError(KdsearchError):
    """A job failed."""


class ClusterError(JobError):
    """A job failed for what happened around it, as a disk that filled up: run again, it may not."""


class LostError(KdsearchError):
    """The mailbox is gone: what was under way goes on when the search is resumed."""

    def __init__(self, message: str = "the process on the head node that hands out the trials died") -> None:
        super().__init__(message)


def submit(mailbox: Any, job: Job) -> None:
    """Queue a job; once this has returned, its posts can be asked for. Raises LostError."""
    ask(mailbox.submit, job)


def run_job(mailbox: Any, job: Job, note: Callable[[str], None]) -> Post:
    """Submit one job and wait for its end. Returns the last post.

    Args:
        mailbox: The handle of the mailbox.
        job: What to do.
        note: Called with each line that its workers log.

    Raises:
        JobError: When it failed, a ClusterError where that was no fault of its own.
        StoppedError: When it was stopped before it began.
        LostError: When the mailbox is gone.
    """
    uid, seen = job["uid"], 0
    submit(mailbox, job)
    while True:
        posts: list[Post] = ask(mailbox.posts, uid, seen)
        seen += len(posts)
        for text in notes_in(posts):
            note(text)
        if posts[-1].get("done"):
            break
    mailbox.forget.remote(uid)
    last = posts[-1]
    if "error" in last:
        raise (ClusterError if last.get("blame") == "cluster" else JobError)(last["error"])
    if last.keys() == {"stopped", "done"}:
        raise StoppedError("stopped before it began")
    return last


def notes_in(posts: Iterable[Post]) -> list[str]:
    """The lines that workers have logged, as their posts carry them."""
    return [text for post in posts for text in post.get("notes", ())]


def ask(method: Any, *arguments: Any) -> Any:
    """What a method of the mailbox returns.

    On a machine under load the mailbox may be out of reach for a while. It is then asked again, so every
    method must be idempotent.

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
