"""Where the time of a trial goes, as its files tell it."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kdsearch.cli import app
from kdsearch.distill.profile import TABLE, TRACE, shares, summed
from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.spec import Spec, load_spec

SPEC = {
    "data": {"source": "digits", "batch_size": 256, "validation": 0.25},
    "teachers": {"mlp": {"model": {"name": "mlp", "hidden": [32]}, "epochs": 1}},
    "student": {"name": "mlp", "hidden": [8]},
    "distill": {"teachers": {"members": ["mlp"]}, "losses": {"ce": {}, "kd": {}}},
    "optim": {"name": "sgd", "lr": 0.05, "epochs": 3},
    "objectives": {"accuracy": "maximize"},
}


def spec_in(folder: Path, **compute: object) -> Spec:
    return load_spec({**SPEC, "compute": {"storage": str(folder), **compute}})


def trial(folder: Path, *, profile: bool) -> dict[str, float]:
    spec = spec_in(folder, profile=profile)
    session = Session(folder, local_worker(spec))
    ensure_teachers(spec, session, lambda name, text: None)
    return session.trial(spec, folder / "trial", lambda metrics: True, idle=2.0)


def test_the_phases_of_a_trial_add_up_to_its_time(tmp_path: Path) -> None:
    metrics = trial(tmp_path, profile=True)
    seconds = summed([tmp_path / "trial" / TABLE])
    assert seconds.pop("idle") == pytest.approx(2.0)
    assert all(seconds[name] > 0 for name in seconds)
    assert {"data", "teacher", "forward", "backward", "optimiser", "evaluation"} <= seconds.keys()
    # The metric ends before the student's files are written, the profile after.
    assert metrics["seconds"] <= sum(seconds.values()) + 1e-3
    assert sum(share for _, _, share in shares(seconds)) == pytest.approx(1.0)


def test_the_trace_shows_the_phases_of_three_steps(tmp_path: Path) -> None:
    trial(tmp_path, profile=True)
    with gzip.open(tmp_path / "trial" / TRACE, "rt") as file:
        events = json.load(file)["traceEvents"]
    for phase in ("teacher", "forward", "backward", "optimiser"):
        named = [e for e in events if e.get("name") == phase and e.get("cat") == "user_annotation"]
        assert len(named) == 3, phase
    assert any(str(event.get("name")).startswith("aten::") for event in events)


def test_a_profile_changes_nothing_and_is_only_written_when_asked_for(tmp_path: Path) -> None:
    told = {profile: trial(tmp_path / str(profile), profile=profile) for profile in (False, True)}
    assert told[True]["loss"] == told[False]["loss"]
    assert not (tmp_path / "False" / "trial" / TABLE).exists()
    assert not (tmp_path / "False" / "trial" / TRACE).exists()


def test_profiles_of_several_trials_are_summed(tmp_path: Path) -> None:
    for name, taken in (("a", 1.5), ("b", 2.0)):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("phase", "seconds", "share"), ("data", taken, 1.0)])
    assert summed([tmp_path / "a", tmp_path / "b", tmp_path / "none"]) == {"data": 3.5}


def test_train_prints_the_table_and_keeps_the_files(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({**SPEC, "compute": {"storage": str(tmp_path / "store")}}), encoding="utf-8")
    said = CliRunner().invoke(app, ["train", str(config), "--profile"])
    assert said.exit_code == 0, said.output
    assert "backward" in said.output and "%" in said.output
    assert sorted(p.name for p in (tmp_path / "store").glob("profiles/*/*")) == [TABLE, TRACE]
