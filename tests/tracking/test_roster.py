from __future__ import annotations

from typing import Any

import pytest
from mlflow import MlflowClient

from kdsearch.tracking.roster import Roster


def roster(uri: str, *, resume: bool = False, uid: str | None = None) -> Roster:
    return Roster(uri, "project", "digits", resume=resume, uid=uid)


def everything(client: MlflowClient) -> list[str]:
    experiment = client.get_experiment_by_name("project").experiment_id
    return [run.info.run_id for run in client.search_runs([experiment])]


@pytest.mark.parametrize("failing", [1, 2], ids=["parent", "trial"])
def test_a_creation_whose_answer_is_lost_is_not_repeated(
    failing: int, uri: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, calls = MlflowClient.create_run, 0

    def losing(*args: Any) -> object:
        nonlocal calls
        calls += 1
        run = create(*args)
        if calls == failing:
            raise ConnectionError("the answer is lost")
        return run

    monkeypatch.setattr(MlflowClient, "create_run", losing)
    ours = roster(uri)
    with pytest.raises(ConnectionError):
        ours.ensure("t0", "recipe", 0)
    ours.ensure("t0", "recipe", 0)
    assert calls == 2
    assert sorted(everything(client)) == sorted([ours.run_id(None), ours.run_id("t0")])


def test_a_creation_done_after_it_was_repeated_is_pruned(
    uri: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hangs does what it was asked when it wakes up, after we asked again."""
    create, late = MlflowClient.create_run, []

    def sleepy(*args: Any) -> object:
        late.append(args)
        if len(late) == 1:
            raise TimeoutError
        return create(*args)

    ours = roster(uri)
    ours.open()
    monkeypatch.setattr(MlflowClient, "create_run", sleepy)
    with pytest.raises(TimeoutError):
        ours.ensure("t0", "recipe", 0)
    ours.ensure("t0", "recipe", 0)
    create(*late[0])
    assert len(everything(client)) == 3
    ours.prune("t0")
    assert sorted(everything(client)) == sorted([ours.run_id(None), ours.run_id("t0")])


def test_a_search_goes_on_in_its_own_run_whatever_others_are_called(uri: str) -> None:
    ours, theirs = roster(uri, uid="ours"), roster(uri, uid="theirs")
    for each in (ours, theirs):
        each.open()
    assert roster_of(uri, "ours") == ours.run_id(None) != theirs.run_id(None) == roster_of(uri, "theirs")
    assert roster_of(uri, "neither") not in (ours.run_id(None), theirs.run_id(None))


def test_a_search_that_knows_no_run_of_its_own_goes_on_in_the_newest_of_its_name(uri: str) -> None:
    roster(uri, uid="first").open()
    newest = roster(uri, uid="second")
    newest.open()
    assert roster_of(uri, None) == newest.run_id(None)


def roster_of(uri: str, uid: str | None) -> str:
    found = roster(uri, resume=True, uid=uid)
    found.open()
    return found.run_id(None)


def test_an_experiment_in_the_trash_is_taken_out(uri: str, client: MlflowClient) -> None:
    first = roster(uri)
    first.open()
    experiment = client.get_experiment_by_name("project").experiment_id
    client.delete_experiment(experiment)
    roster(uri, resume=True).open()
    assert client.get_experiment(experiment).lifecycle_stage == "active"
