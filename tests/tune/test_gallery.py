"""The pictures of a search drawn while it runs: anew when a trial has ended, never at its cost."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from threading import Event

import pandas as pd
import pytest

from kdsearch.pareto.album import Album
from kdsearch.tracking import Writer
from kdsearch.tune import gallery
from kdsearch.tune.journal import OwnJournal


@pytest.fixture
def album() -> Album:
    rows = {"recipe": ["a", "b", "c"], "accuracy": [0.7, 0.8, 0.6], "size_mb": [1.0, 2.0, 3.0]}
    trials = pd.DataFrame(rows).assign(uid=["u", "v", "w"], state="complete", baseline="", reason="")
    return Album(
        name="small",
        state="running",
        objectives={"accuracy": "maximize", "size_mb": "minimize"},
        reference={"accuracy": 0.0, "size_mb": 4.0},
        trials=trials,
    )


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """One that only notes what it would write."""
    return Writer(f"sqlite:///{tmp_path}/mlflow.db", "space", "small")


def wait_for(what, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_running_search_is_drawn_anew_when_a_trial_has_ended(album, writer, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "_PAUSE", 0.01)
    monkeypatch.setattr(gallery, "_SHARE", 0.0)
    stages = [replace(album, trials=album.trials.head(2))]
    asked: list[int] = []

    def now() -> Album:
        asked.append(len(stages[-1].trials))
        return stages[-1]

    report = tmp_path / "shown" / "report.html"
    with gallery.refreshed(now, tmp_path / "shown", writer):
        wait_for(report.exists)
        wait_for(lambda: len(asked) > 5)
        first = report.stat().st_mtime_ns
        assert "still running" in report.read_text() and report.stat().st_mtime_ns == first
        noted = writer.pending
        wait_for(lambda: len(asked) > 10)
        assert writer.pending == noted > 0
        stages.append(album)
        wait_for(lambda: report.stat().st_mtime_ns != first)
    drawn = len(asked)
    time.sleep(0.1)
    assert len(asked) == drawn


def test_a_search_that_cannot_be_drawn_goes_on(writer, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(gallery, "_PAUSE", 0.01)

    def broken() -> Album:
        raise ValueError("no such column")

    with gallery.refreshed(broken, tmp_path, writer):
        wait_for(lambda: "no such column" in caplog.text)


def test_what_is_shown_is_on_file_and_noted_for_mlflow(album, writer, tmp_path):
    files = gallery.show(album, tmp_path / "shown", writer)
    assert files[0].name == "report.html" and all(path.exists() for path in files)
    assert {"front.html", "front.png", "front.json", "front.csv", "trials.csv"} <= {
        path.name for path in files
    }
    # Each file, and the tag that makes one of them a table.
    assert writer.pending == len(files) + 1
    assert not list((tmp_path / "shown").glob(".*"))


def test_what_mattered_most_is_asked_of_the_study_beside_the_files(album, tmp_path):
    import optuna

    study = optuna.create_study(
        study_name="small",
        directions=["maximize", "minimize"],
        storage=OwnJournal(tmp_path / "study.journal"),
    )
    assert "importances.html" not in gallery.draw(album, tmp_path)
    for number in range(30):
        trial = study.ask()
        trial.suggest_float("student.width", 0, 1)
        study.tell(trial, [trial.suggest_float("optim.lr", 0, 1), number])
    assert {"importances.html", "importances.png"} <= {*gallery.draw(album, tmp_path)}
    assert "optim.lr" in (tmp_path / "importances.html").read_text()


def test_drawing_apart_leaves_the_same_files_and_tells_of_its_errors(album, tmp_path, local_ray):
    here, apart = tmp_path / "here", tmp_path / "apart"
    assert gallery.draw_apart(album, apart) == gallery.draw(album, here)
    assert {path.name for path in apart.iterdir()} == {path.name for path in here.iterdir()}
    assert (apart / "front.csv").read_text() == (here / "front.csv").read_text()
    taken = tmp_path / "taken"
    taken.touch()
    with pytest.raises(FileExistsError):
        gallery.draw_apart(album, taken)


def test_ctrl_c_does_not_wait_for_a_drawing(album, writer, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "_PAUSE", 0.01)
    drawing, over = Event(), Event()

    def slow(album: Album, folder: Path) -> list[str]:
        drawing.set()
        over.wait(20)
        raise RuntimeError("Ray is gone")

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), gallery.refreshed(lambda: album, tmp_path, writer, slow):
        assert drawing.wait(10)
        raise KeyboardInterrupt
    over.set()
    assert time.monotonic() - began < 10
