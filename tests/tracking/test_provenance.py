from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kdsearch.tracking import provenance


def test_versions_and_hardware_are_told() -> None:
    tags = provenance()
    for package in ("kdsearch", "python", "torch", "ray", "optuna", "mlflow"):
        assert tags[f"kdsearch.version.{package}"]
    assert int(tags["kdsearch.host.cores"]) >= 1
    assert tags["kdsearch.host.cpu"]
    assert tags["kdsearch.host.gpus"]
    assert all(isinstance(value, str) and len(value) < 8000 for value in tags.values())


def test_the_commit_is_that_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "kdsearch.git.commit" not in provenance()
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    Path("a").write_text("1")
    for command in (("init", "-q"), ("add", "a"), ("commit", "-qm", "a")):
        subprocess.run([*git, *command], check=True)
    assert len(provenance()["kdsearch.git.commit"]) == 40
    assert provenance()["kdsearch.git.dirty"] == "false"
    Path("a").write_text("2")
    assert provenance()["kdsearch.git.dirty"] == "true"


def test_no_secret_of_the_environment_or_the_command_line_is_in_it() -> None:
    code = "from kdsearch.tracking import provenance; print(provenance())"
    secret = {"MLFLOW_TRACKING_PASSWORD": "hunter2", "MLFLOW_TRACKING_URI": "http://u:hunter2@h"}
    command = [sys.executable, "-c", code, "--token=hunter2"]
    done = subprocess.run(command, env=os.environ | secret, capture_output=True, text=True, check=True)
    assert "hunter2" not in done.stdout
