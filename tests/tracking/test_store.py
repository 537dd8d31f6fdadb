from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.errors import InputError
from kdsearch.tracking import check_uri, public_uri, resolve_uri
from kdsearch.tracking.store import artifact_location, scrub


def test_a_relative_database_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_uri("sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    assert resolve_uri("sqlite:///a.db?timeout=5") == f"sqlite:///{tmp_path}/a.db?timeout=5"
    assert resolve_uri("sqlite:////x/y.db") == "sqlite:////x/y.db"
    assert resolve_uri("http://host:5000") == "http://host:5000"


@pytest.mark.parametrize(
    "uri",
    [
        "http://host:5000",
        "https://host",
        "postgresql+psycopg2://u:p@host/db",
        "databricks",
        "databricks://team",
    ],
)
def test_servers_and_databases_are_taken_as_they_are(uri: str) -> None:
    check_uri(uri)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("mlruns", "use sqlite:///mlflow.db"),
        ("file:///x/mlruns", "use sqlite:///mlflow.db"),
        ("htp://host", "did you mean 'http'"),
        ("sqlite://", "expected a file"),
        ("sqlite:///:memory:", "expected a file"),
        ("sqlite:///nowhere/mlflow.db", "there is no folder"),
        ("sqlite:///.", "folder"),
    ],
)
def test_stores_that_cannot_work_are_refused(
    uri: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        check_uri(uri)
    assert not [*tmp_path.iterdir()]


def test_a_file_on_another_machine_is_only_held_to_its_form() -> None:
    check_uri("sqlite:////no/such/folder/mlflow.db", here=False)
    with pytest.raises(InputError, match="expected a file"):
        check_uri("sqlite:///:memory:", here=False)


def test_artifacts_lie_beside_the_database_whatever_the_experiment_is_called(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert artifact_location(uri, "digits") == str(tmp_path / "mlartifacts" / "digits")
    assert artifact_location(uri, "../../etc") == str(tmp_path / "mlartifacts" / "_.._etc")
    assert artifact_location(uri, "..") == str(tmp_path / "mlartifacts" / "experiment")
    assert artifact_location("http://host", "digits") is None


def test_secrets_are_not_shown() -> None:
    assert public_uri("postgresql://me:se/cr@et@host/db?password=x") == "postgresql://host/db"
    assert public_uri("sqlite:////home/me@work/mlflow.db") == "sqlite:////home/me@work/mlflow.db"
    assert scrub("to http://me:secret@host:80/api failed") == "to http://host:80/api failed"
