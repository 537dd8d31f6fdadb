"""Students whose steps are compiled: the same training, and nothing compiled twice."""

from __future__ import annotations

import shutil

import pytest
from torch._dynamo.utils import counters

from kdsearch.distill import run
from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.spec import load_spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs a compiler for C++"),
]


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Trains a student with a hint of a layer, and returns its metrics and how many graphs were compiled."""
    folder = tmp_path_factory.mktemp("compiled")

    def trained(compile: bool, width: int = 3, losses: dict | None = None) -> tuple[dict, int]:
        hint = {"match": [{"teacher": "conv", "pairs": [["stage1", "stage1"]]}]}
        spec = load_spec(
            {
                "data": {"source": "digits", "batch_size": 64},
                "teachers": {"conv": {"model": {"name": "convnet", "width": 4}, "epochs": 1}},
                "student": {"name": "convnet", "width": width},
                "distill": {
                    "teachers": {"members": ["conv"]},
                    "losses": {"kd": {}, "hint": hint} if losses is None else losses,
                },
                "optim": {"name": "sgd", "lr": 0.05, "epochs": 2},
                "compute": {"storage": str(folder), "compile": compile},
            }
        )
        session = Session(folder, local_worker(spec))
        ensure_teachers(spec, session, lambda name, text: None)
        before = counters["stats"]["unique_graphs"]
        metrics = session.trial(spec, folder / "trial", lambda metrics: True)
        return metrics, counters["stats"]["unique_graphs"] - before

    return trained


def test_a_compiled_student_learns_as_one_that_is_not(train, monkeypatch):
    monkeypatch.setattr(run, "STEPS", 10)
    plain, none = train(compile=False)
    fast, some = train(compile=True)
    assert none == 0 and some > 0
    assert fast["loss"] == pytest.approx(plain["loss"], rel=1e-3)
    assert fast["accuracy"] == pytest.approx(plain["accuracy"], abs=0.02)


def test_an_architecture_is_compiled_once(train, monkeypatch):
    monkeypatch.setattr(run, "STEPS", 10)
    _, first = train(compile=True, width=5, losses={"kd": {}})
    _, second = train(compile=True, width=5, losses={"kd": {"temperature": 2.0}, "ce": {}})
    assert first > 0 and second == 0


def test_a_short_trial_is_not_compiled(train):
    assert train(compile=True)[1] == 0


def test_a_loss_of_gradients_for_the_images_is_not_compiled(train, monkeypatch):
    monkeypatch.setattr(run, "STEPS", 10)
    assert train(compile=True, losses={"attention_gradient": {}})[1] == 0


def test_without_a_compiler_it_is_said_and_nothing_is_compiled(train, monkeypatch, caplog):
    monkeypatch.setattr(run, "STEPS", 10)
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert train(compile=True)[1] == 0
    assert "there is no C++ compiler here" in caplog.text
