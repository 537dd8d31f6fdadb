"""Between the trials that Tune drives and the worker groups that train them: an actor that waits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import ray

#: A job whose worker group died so often is not tried again.
ATTEMPTS = 3

Job = dict[str, Any]
Post = dict[str, Any]


@ray.remote(num_cpus=0, max_restarts=0)
class Mailbox:
    """Jobs go in and are taken by whichever worker group is free; what it posts comes out by the job's uid.

    Every worker of a group asks for job number 0, 1, 2, … and gets the same one. A group that starts anew (a
    worker died) says so with a fresh `token` and is given the job it was at again.
    """

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._taken: dict[int, tuple[str, list[Job | None]]] = {}
        self._posts: dict[str, list[Post]] = {}
        self._ended: set[str] = set()
        self._stopped: set[str] = set()
        self._closed = False
        self._failure = ""
        self._changed = asyncio.Condition()

    async def submit(self, job: Job) -> None:
        """Queue a job; `uid` names it. A job that is here already is left to go on."""
        async with self._changed:
            if job["uid"] not in self._posts:
                self._posts[job["uid"]] = []
                if self._failure:
                    self._add(job["uid"], {"error": self._failure, "done": True})
                else:
                    self._waiting.append({**job, "attempt": 1})
                self._changed.notify_all()

    async def take(self, slot: int, token: str, number: int) -> Job | None:
        """Job `number` of the group in `slot`, waiting until there is one; None means that none will come."""
        async with self._changed:
            if self._taken.get(slot, ("", []))[0] != token:
                self._restart(slot, token)
                self._changed.notify_all()
            jobs = self._taken[slot][1]
            while len(jobs) <= number:
                if self._waiting:
                    jobs.append(self._waiting.popleft())
                elif self._closed:
                    jobs.append(None)
                else:
                    await self._changed.wait()
                    continue
                self._changed.notify_all()
            return jobs[number]

    async def ready(self) -> None:
        """Wait until a worker group has asked for a job, or none ever will."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._taken or self._failure or self._closed)

    def _restart(self, slot: int, token: str) -> None:
        jobs = self._taken.get(slot, ("", []))[1]
        self._taken[slot] = (token, [])
        job = jobs[-1] if jobs else None
        if job is None or job["uid"] in self._ended or job["uid"] not in self._posts:
            return
        if job["attempt"] < ATTEMPTS:
            self._waiting.appendleft({**job, "attempt": job["attempt"] + 1})
        else:
            self._add(job["uid"], {"error": f"its worker died {ATTEMPTS} times", "done": True})

    def _add(self, uid: str, post: Post) -> None:
        self._posts[uid].append(post)
        if post.get("done"):
            self._ended.add(uid)

    async def post(self, uid: str, post: Post) -> bool:
        """Add to what a job has to say; `done` ends it. Returns False when it should stop."""
        async with self._changed:
            if uid in self._posts:
                self._add(uid, post)
                self._changed.notify_all()
            return uid not in self._stopped

    async def posts(self, uid: str, start: int) -> list[Post]:
        """What a job has said, from post number `start` on, waiting until there is something."""
        async with self._changed:
            while len(self._posts[uid]) <= start:
                await self._changed.wait()
            return self._posts[uid][start:]

    async def forget(self, uid: str) -> None:
        """Drop a job that has ended, and all it said."""
        async with self._changed:
            self._posts.pop(uid, None)
            self._ended.discard(uid)
            self._stopped.discard(uid)

    async def stop(self, uid: str | None = None) -> None:
        """Ask a job, or all, to stop after the epoch they are at; those still waiting end at once."""
        async with self._changed:
            stopping = set(self._posts) if uid is None else {uid}
            self._stopped |= stopping
            for job in [job for job in self._waiting if job["uid"] in stopping]:
                self._waiting.remove(job)
                self._add(job["uid"], {"stopped": True, "done": True})
            self._changed.notify_all()

    async def fail(self, reason: str) -> None:
        """No worker group is left: every job that has not ended fails, and so does every later one."""
        async with self._changed:
            self._failure = reason
            for uid in [uid for uid in self._posts if uid not in self._ended]:
                self._add(uid, {"error": reason, "done": True})
            self._waiting.clear()
            self._changed.notify_all()

    async def close(self) -> None:
        """Let the worker groups go once nothing waits any more."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
