"""The command line run as a user would, in a folder of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray

from kdsearch.cli import main


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    code: int
    out: str
    err: str


Run = Callable[..., Answer]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which starts empty."""
    here = tmp_path / "work"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return here


@pytest.fixture
def kdsearch(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process, where torch needs importing only once."""

    def run(*arguments: str | os.PathLike[str]) -> Answer:
        monkeypatch.setattr(sys, "argv", ["kdsearch", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", [*sys.path])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Answer(code, *capfd.readouterr())

    return run


@pytest.fixture
def refuses(kdsearch: Run, folder: Path) -> Callable[..., None]:
    """Runs a command that must be refused, and looks at all that a refusal promises."""

    def run(message: str, *arguments: str) -> None:
        before = set(folder.rglob("*"))
        refused(kdsearch(*arguments), message, folder, before)

    return run


def refused(answer: Answer, message: str, folder: Path, before: set[Path]) -> None:
    """What holds for every refusal."""
    assert answer.code == 2, answer
    assert message in answer.err
    assert answer.err.startswith("error: ")
    assert answer.err.count("error: ") == 1
    assert "Traceback" not in answer.err + answer.out
    assert answer.out == ""
    assert set(folder.rglob("*")) == before
    assert not ray.is_initialized()
