"""The mailbox between trials and worker groups, as a real actor."""

from __future__ import annotations

from typing import Any

import pytest

from kdsearch.tune.jobs import Job, Kind

pytestmark = pytest.mark.slow


@pytest.fixture
def mailbox(local_ray: None) -> Any:
    import ray

    from kdsearch.tune.mailbox import Mailbox

    actor = Mailbox.options(max_concurrency=100).remote(60.0)
    yield lambda method, *args: ray.get(getattr(actor, method).remote(*args), timeout=20)
    ray.kill(actor)


def job(uid: str, kind: Kind = "trial") -> Job:
    return {"uid": uid, "kind": kind, "config": {}, "folder": ""}


def test_every_worker_of_a_group_is_given_the_same_jobs_in_the_same_order(mailbox):
    for uid in "ab":
        mailbox("submit", job(uid))
    assert [mailbox("take", 0, "start", n)["uid"] for n in (0, 1)] == ["a", "b"]
    assert [mailbox("take", 0, "start", n)["uid"] for n in (0, 1)] == ["a", "b"]


def test_a_job_whose_group_died_is_taken_again_by_the_restarted_group(mailbox):
    mailbox("submit", job("a"))
    assert mailbox("take", 0, "first", 0)["uid"] == "a"
    assert mailbox("take", 0, "second", 0)["uid"] == "a"


def test_who_died_while_it_waited_is_given_no_job(local_ray):
    import ray

    from kdsearch.tune.mailbox import Mailbox

    actor = Mailbox.options(max_concurrency=100).remote(60.0)
    dead = actor.take.remote(0, "first", 0)
    ray.get(actor.ready.remote(0), timeout=10)  # it waits
    lives = actor.take.remote(0, "second", 0)
    assert ray.get(dead, timeout=10) is None
    for uid in "ab":
        ray.get(actor.submit.remote(job(uid)))
    assert ray.get(lives, timeout=10)["uid"] == "a"
    assert ray.get(actor.take.remote(0, "second", 1), timeout=10)["uid"] == "b"
    ray.kill(actor)


def test_a_job_that_ended_is_not_taken_again(mailbox):
    mailbox("submit", job("a"))
    mailbox("take", 0, "first", 0)
    mailbox("post", "a", {"done": True})
    mailbox("submit", job("b"))
    assert mailbox("take", 0, "second", 0)["uid"] == "b"


def test_a_job_that_kills_its_workers_is_given_up(mailbox):
    mailbox("submit", job("a"))
    for start in range(3):
        assert mailbox("take", 0, str(start), 0)["uid"] == "a"
    mailbox("submit", job("b"))
    assert mailbox("take", 0, "last", 0)["uid"] == "b"
    assert mailbox("posts", "a", 0) == [{"error": "its worker died 3 times", "blame": "memory", "done": True}]


def test_a_job_that_comes_further_each_time_is_never_given_up(mailbox):
    mailbox("submit", job("a"))
    for start in range(10):
        assert mailbox("take", 0, str(start), 0)["uid"] == "a"
        mailbox("post", "a", {"epoch": {"epoch": 1 + start // 2}})
    assert mailbox("take", 0, "again", 0)["uid"] == "a"
    mailbox("post", "a", {"epoch": {"epoch": 5}})  # which it told of before
    mailbox("submit", job("b"))
    assert mailbox("take", 0, "last", 0)["uid"] == "b"
    assert mailbox("posts", "a", 0)[-1]["error"] == "its worker died 3 times"


def test_a_stopped_job_ends_at_once_if_it_waits_and_is_told_if_it_runs(mailbox):
    for uid in "ab":
        mailbox("submit", job(uid, "trial"))
    mailbox("take", 0, "start", 0)
    mailbox("stop")
    assert mailbox("posts", "b", 0) == [{"stopped": True, "done": True}]
    assert mailbox("post", "a", {"epoch": {}}) is False


def test_what_measures_is_not_stopped(mailbox):
    mailbox("submit", job("a", "finish"))
    mailbox("stop")
    mailbox("submit", job("b", "untrained"))
    mailbox("submit", job("c", "teacher"))
    assert [mailbox("take", 0, "start", n)["uid"] for n in (0, 1)] == ["a", "b"]
    assert mailbox("posts", "c", 0) == [{"stopped": True, "done": True}]


def test_who_waits_for_a_group_that_is_gone_is_let_go(mailbox):
    mailbox("lose", 1)
    mailbox("ready", 1)


def test_when_no_group_is_left_every_job_fails_also_later_ones(mailbox):
    mailbox("submit", job("a"))
    mailbox("fail", "all gone")
    mailbox("submit", job("b"))
    for uid in "ab":
        assert mailbox("posts", uid, 0) == [{"error": "all gone", "blame": "cluster", "done": True}]


def test_a_closed_mailbox_lets_the_groups_go(mailbox):
    mailbox("close")
    assert mailbox("take", 0, "start", 0) is None
