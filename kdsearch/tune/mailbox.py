"""The actor between the trials that Tune drives and the worker groups that train them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from typing import Any

import ray

from kdsearch.tune.jobs import MEASURING, TRAINING, Job, Post

#: How often the worker group of a job may die, without a further epoch between, before the job fails.
ATTEMPTS = 3


@ray.remote(num_cpus=0, max_restarts=0)
class Mailbox:
    """Jobs go in and are taken by whichever worker group is free; what it posts comes out by the job's uid.

    Every worker of a group asks for job number 0, 1, 2, … and gets the same one. A group that starts anew (a
    worker died) says so with a fresh `token` and is given the job it was at again. A group that gives no sign
    of life for too long is killed from here: what hangs it could hang a watchdog thread of its own as well.
    """

    def __init__(self, patience: float, workers: int = 1, measuring: int | None = None) -> None:
        """
        Args:
            patience: The most seconds between two posts of a job.
            workers: How many workers a group that trains has.
            measuring: The slot of the group that measures; by default any does.
        """
        self._measuring = measuring
        self._waiting: deque[Job] = deque()
        self._taken: dict[int, tuple[str, list[Job | None]]] = {}
        self._asked: dict[int, Counter[int]] = {}
        self._posts: dict[str, list[Post]] = {}
        self._deaths: Counter[str] = Counter()
        self._reached: dict[str, float] = {}
        self._ended: set[str] = set()
        self._stopped: set[str] = set()
        self._gone: set[int] = set()
        self._closed = self._halted = False
        self._failure = ""
        self._patience, self._workers_per_group = patience, workers
        self._workers: dict[int, list[Any]] = {}
        self._heard: dict[str, float] = {}
        self._watch: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()

    async def submit(self, job: Job) -> None:
        """Queue a job; `uid` names it. One that is known already is left as it is."""
        async with self._changed:
            if job["uid"] not in self._posts:
                self._posts[job["uid"]] = []
                if self._halted and job["kind"] in TRAINING:
                    self._add(job["uid"], {"stopped": True, "done": True})
                elif self._failure:
                    self._add(job["uid"], {"error": self._failure, "blame": "cluster", "done": True})
                else:
                    self._waiting.append(job)
                self._changed.notify_all()

    async def take(self, slot: int, token: str, number: int, worker: Any = None) -> Job | None:
        """Job `number` of the group in `slot`, waiting until there is one; None means that none will come.

        `worker` is the handle of the actor that asks. The call of a worker that died while it waited is still
        waiting here: once its group has restarted, no job is given to the former `token`.
        """
        self._watch = self._watch or asyncio.create_task(self._look())
        async with self._changed:
            if self._taken.get(slot, ("", []))[0] != token:
                self._restart(slot, token)
                self._changed.notify_all()
            if worker is not None and number == 0:
                self._workers[slot].append(worker)
            jobs = self._taken[slot][1]
            self._let_go(slot, number)
            while len(jobs) <= number:
                if job := self._next(slot):
                    jobs.append(job)
                    self._heard[job["uid"]] = time.monotonic()
                elif self._closed:
                    jobs.append(None)
                else:
                    await self._changed.wait()
                    if self._taken[slot][0] != token:
                        return None
                    continue
                self._changed.notify_all()
            return jobs[number]

    def _let_go(self, slot: int, number: int) -> None:
        """Keep only the last two of the jobs that every worker of a group has done."""
        asked = self._asked[slot]
        asked[number] += 1
        if asked[number] == (1 if slot == self._measuring else self._workers_per_group):
            del asked[number]
            if 1 < number <= len(jobs := self._taken[slot][1]):
                jobs[number - 2] = None

    def _next(self, slot: int) -> Job | None:
        """The first job that waits and is for the group in `slot`, taken out."""
        for job in self._waiting:
            if self._measuring is None or (slot == self._measuring) == (job["kind"] in MEASURING):
                self._waiting.remove(job)
                return job
        return None

    async def ready(self, slot: int = 0) -> None:
        """Wait until the worker group in `slot` has asked for a job, or will not."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: slot in self._taken or slot in self._gone or self._failure or self._closed
            )

    async def lose(self, slot: int) -> None:
        """The worker group in `slot` will not ask for a job any more."""
        async with self._changed:
            self._gone.add(slot)
            self._changed.notify_all()

    def _restart(self, slot: int, token: str) -> None:
        jobs = self._taken.get(slot, ("", []))[1]
        self._taken[slot], self._workers[slot], self._asked[slot] = (token, []), [], Counter()
        job = jobs[-1] if jobs else None
        if job is None or job["uid"] in self._ended or job["uid"] not in self._posts:
            return
        self._deaths[job["uid"]] += 1
        if self._deaths[job["uid"]] < ATTEMPTS:
            self._waiting.appendleft(job)
        else:
            reason = f"its worker died {ATTEMPTS} times"
            self._add(job["uid"], {"error": reason, "blame": "memory", "done": True})

    async def _look(self) -> None:
        """Look after the groups: end the jobs that hang, and give those of dead groups to others."""
        while True:
            await asyncio.sleep(min(2.0, self._patience / 4))
            for slot in list(self._taken):
                await self._look_after(slot)

    async def _look_after(self, slot: int) -> None:
        token, jobs = self._taken[slot]
        job, workers = jobs[-1] if jobs else None, self._workers[slot]
        if job is None or job["uid"] not in self._heard:
            return
        hangs = self._heard[job["uid"]] < time.monotonic() - self._patience
        dead = not hangs and not all(await asyncio.gather(*map(_lives, workers)))
        async with self._changed:
            if self._taken[slot][0] != token:
                return
            if hangs and job["uid"] in self._heard:
                reason = f"no epoch in {self._patience:g} s: it hangs, or compute.epoch_timeout is too low"
                self._add(job["uid"], {"error": reason, "done": True})
            if dead:
                # Its group may never be placed again, as when its node is gone.
                self._restart(slot, "")
            self._changed.notify_all()
        if hangs:
            for worker in workers:
                ray.kill(worker)

    def _add(self, uid: str, post: Post) -> None:
        self._posts[uid].append(post)
        self._heard[uid] = time.monotonic()
        if (epoch := post.get("epoch", {}).get("epoch", 0)) > self._reached.get(uid, 0):
            # It made progress: over days, its node may be preempted any number of times.
            self._reached[uid] = epoch
            del self._deaths[uid]
        if post.get("done"):
            self._ended.add(uid)
            self._heard.pop(uid)

    async def post(self, uid: str, post: Post) -> bool:
        """Add a post to a job; `done` ends it. Returns False when the job should stop."""
        async with self._changed:
            if uid in self._posts and uid not in self._ended:
                self._add(uid, post)
                self._changed.notify_all()
            return uid not in self._stopped

    async def posts(self, uid: str, start: int) -> list[Post]:
        """The posts of a job from number `start` on; waits until there is one."""
        async with self._changed:
            while len(self._posts[uid]) <= start:
                await self._changed.wait()
            return self._posts[uid][start:]

    async def forget(self, uid: str) -> None:
        """Drop a job that has ended, and its posts."""
        async with self._changed:
            for kept in (self._posts, self._heard, self._deaths, self._reached):
                kept.pop(uid, None)
            self._ended.discard(uid)
            self._stopped.discard(uid)

    async def stop(self, uid: str | None = None) -> None:
        """Ask a job, or all, to stop after the current epoch; those still waiting end at once.

        After all were stopped, no training begins any more.
        """
        async with self._changed:
            self._halted = self._halted or uid is None
            stopping = set(self._posts) if uid is None else {uid}
            self._stopped |= stopping
            # Measuring is soon done, and its result is waited for.
            for job in [j for j in self._waiting if j["uid"] in stopping and j["kind"] in TRAINING]:
                self._waiting.remove(job)
                self._add(job["uid"], {"stopped": True, "done": True})
            self._changed.notify_all()

    async def fail(self, reason: str) -> None:
        """No worker group is left: every job that has not ended fails, and so does every later one."""
        async with self._changed:
            self._failure = reason
            for uid in [uid for uid in self._posts if uid not in self._ended]:
                self._add(uid, {"error": reason, "blame": "cluster", "done": True})
            self._waiting.clear()
            self._changed.notify_all()

    async def abandon(self) -> None:
        """Kill what runs, and let the worker groups go."""
        async with self._changed:
            self._closed = True
            self._waiting.clear()
            for uid in [uid for uid in self._posts if uid not in self._ended]:
                self._add(uid, {"stopped": True, "done": True})
            self._changed.notify_all()
        for worker in [worker for workers in self._workers.values() for worker in workers]:
            ray.kill(worker)

    async def close(self) -> None:
        """Let the worker groups go once nothing waits any more."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()


async def _lives(worker: Any) -> bool:
    """False once a worker's process is known to be gone."""
    try:
        await asyncio.wait_for(worker.__ray_ready__.remote(), timeout=1)
    except ray.exceptions.ActorDiedError:
        return False
    except (TimeoutError, ray.exceptions.RayError):
        pass
    return True
