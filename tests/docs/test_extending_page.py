"""The loss of docs/extending.md, taken from the page, trains a student."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.space import RandomTrial, canonical, dimensions, sample
from kdsearch.spec import load_spec

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## A loss")[1].split("\n## ")[0]


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    return found


@pytest.fixture
def sharper(tmp_path, monkeypatch):
    """The module of the page, in a user's folder on the Python path."""
    (file,) = re.findall(r"`(\w+\.py)`, in the folder of your spec", SECTION)
    (tmp_path / file).write_text(block("python"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield Path(file).stem
    sys.modules.pop(Path(file).stem, None)


def test_it_takes_less_than_25_lines():
    assert len(block("python").splitlines()) < 25


def test_a_student_is_trained_on_it_within_the_space_of_the_page(sharper, tmp_path):
    content = {
        "data": {"source": "digits", "validation": 0.5},
        "teachers": {"mlp": {"model": {"name": "mlp", "hidden": [16]}, "epochs": 1}},
        "student": {"name": "mlp", "hidden": [8]},
        "optim": {"lr": 0.01, "epochs": 3},
        "compute": {"storage": str(tmp_path / "store")},
        **yaml.safe_load(block("yaml")),
    }
    spec = load_spec(content)
    names = {dimension.name for dimension in dimensions(spec)}
    assert {"distill.losses.mine.weight", "distill.losses.mine.power"} <= names
    drawn = (sample(spec, RandomTrial(seed)) for seed in range(20))
    config = load_spec(canonical(next(c for c in drawn if c["distill"]["teachers"]["members"])))
    assert config.distill.losses["mine"].part == f"{sharper}:sharper"
    assert 1 <= config.distill.losses["mine"].options["power"] <= 4
    session = Session(tmp_path / "store", local_worker(config))
    ensure_teachers(config, session, lambda name, text: None)
    seen: list[float] = []
    session.trial(config, tmp_path / "trial", lambda m: bool(seen.append(m["loss/mine"])) or True)
    assert seen[2] < seen[0]


def test_it_computes_what_its_docstring_says(sharper):
    loss = import_module(sharper).sharper
    student, teacher = np.random.default_rng(0).normal(size=(2, 4, 3))
    raised = np.exp(teacher) ** 3
    target = raised / raised.sum(1, keepdims=True)
    expected = -(target * (student - np.log(np.exp(student).sum(1, keepdims=True)))).sum(1)
    found = loss(torch.tensor(student), torch.tensor(teacher), power=3.0)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
