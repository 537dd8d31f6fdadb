"""A search read where neither its parts nor its folder are: only its MLflow is at hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import kdsearch
from kdsearch.cli import app
from kdsearch.errors import InputError
from kdsearch.spec import dump_yaml, load_spec
from kdsearch.tracking import Writer
from kdsearch.tune.folder import new_folder, write_about
from kdsearch.tune.status import actual_state

FOREIGN = {"student": {"name": "nowhere:Small", "width": 4}, "optim": {"name": "nowhere:adagrad", "lr": 0.1}}


def store(uri: str, name: str, state: Any, storage: str = "kdsearch_store", **changes: Any) -> None:
    """A search with a front of two, as MLflow has it."""
    plain = {"data": {"source": "digits"}, "student": {"name": "mlp", "hidden": [8]}}
    spec = load_spec({**plain, "compute": {"storage": storage}}).plain()
    writer = Writer(uri, "project", name, resume=False, uid=f"uid of {name}")
    reference = json.dumps({"accuracy": 0.0, "size_mb": 4.0})
    writer.start({"kdsearch.reference": reference}, {"spec.yaml": dump_yaml({**spec, **changes})})
    for number, (accuracy, size) in enumerate([(0.9, 3.0), (0.7, 1.0)]):
        uid = f"{name}{number}"
        writer.start_trial(uid, f"recipe {uid}", {**spec, **changes}, {"kdsearch.number": str(number)})
        figures = {"accuracy": accuracy, "size_mb": size, "score": 1 - accuracy}
        writer.log_metrics(uid, figures)
        writer.end_trial(uid, "complete", {"kdsearch.front": "true"})
    if state != "running":
        writer.end(state)
    assert writer.close(60)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder without any search."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def said(*arguments: str) -> str:
    """What `kdsearch ARGUMENTS` prints."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_front_is_read_where_the_parts_of_its_spec_are_not_installed(uri: str, here: Path) -> None:
    store(uri, "one", "complete", objectives={"nowhere:score": "minimize", "size_mb": "minimize"}, **FOREIGN)
    store(uri, "two", "complete", objectives={"nowhere:score": "minimize", "size_mb": "minimize"}, **FOREIGN)
    found = kdsearch.open_search("one", uri)
    assert found.objectives == {"score": "minimize", "size_mb": "minimize"}
    assert list(found.front["uid"]) == ["one0", "one1"]
    assert found.best("size_mb")["uid"] == "one1" and found.pick("knee")["uid"] in ("one0", "one1")
    assert "one: 1 of 2 trials" in said("front", "one", "--where", "size_mb < 2", "--tracking-uri", uri)
    for form in ("csv", "json"):
        assert "recipe one1" in said("front", "one", "--format", form, "--tracking-uri", uri)
    with pytest.raises(InputError, match="there is no module 'nowhere'"):
        _ = found.spec


def test_fronts_of_parts_that_are_not_installed_are_compared(uri: str, here: Path) -> None:
    for name in ("one", "two"):
        store(uri, name, "complete", **FOREIGN)
    assert "4 MB" in said("front", "--compare", "one", "two", "--tracking-uri", uri)


def test_objectives_that_are_none_are_told_as_what_is_wrong_with_the_spec(uri: str, here: Path) -> None:
    store(uri, "odd", "complete", objectives={"accuracy": "sideways"})
    with pytest.raises(InputError, match=r"objectives\.accuracy"):
        _ = kdsearch.open_search("odd", uri).front


def test_a_search_that_mlflow_says_is_running_may_have_been_killed(uri: str, here: Path) -> None:
    store(uri, "live", "running", **FOREIGN)
    assert "\nlive still runs, or was killed: `kdsearch status live` tells" in said(
        "front", "live", "--tracking-uri", uri
    )


def test_the_folder_of_a_search_tells_whether_it_was_killed(here: Path) -> None:
    unknown = "still runs, or was killed"
    assert actual_state("live", "store", "ours").startswith(unknown)
    with new_folder(here / "store", "live", None) as folder:
        write_about(folder, uid="ours", state="running")
        assert actual_state("live", "store", "ours") == "still runs"
        assert actual_state("live", "store", "theirs").startswith(unknown)
    assert actual_state("live", "store", "ours") == "was killed: --resume live goes on with it"
    assert actual_state("live", "store", "theirs").startswith(unknown)
    write_about(folder, state="complete")
    assert "`kdsearch sync live`" in actual_state("live", "store", "ours")
    write_about(folder, uid=None, state="running")  # as an older version left it
    assert actual_state("live", "store", "any").startswith("was killed")
