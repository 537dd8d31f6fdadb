"""Two workers that share every batch, each a process of its own, learn what one with all of it does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch.distill.run import run
from kdsearch.distill.session import Session
from kdsearch.distill.worker import Worker
from kdsearch.spec import load_spec

MATCH = [{"teacher": "wide", "pairs": [["layer1", "layer1"]]}]
BOTH = {"members": ["wide", "deep"], "combine": "learned"}
RECIPES: dict[str, Any] = {
    "every parameter always": {"losses": {"ce": {}, "hint": {"match": MATCH}}},
    "a stage of hints": {
        "losses": {"ce": {}},
        "stages": [{"epochs": 1, "losses": {"hint": {"match": MATCH}}}],
    },
    "labels that end": {
        "losses": {"ce": {"weight": {"constant": 1, "until": 0.6}}, "hint": {"match": MATCH}}
    },
    "a gate whose loss ends": {
        "teachers": BOTH,
        "losses": {"ce": {}, "kd": {"weight": {"linear": [1, 0.5], "until": 0.6}}},
    },
    "a gate with one teacher": {"teachers": {**BOTH, "members": ["wide"]}, "losses": {"ce": {}, "kd": {}}},
}

WORKER = """
import json, sys
from pathlib import Path
import torch
from torch import distributed
from kdsearch.distill.run import run
from kdsearch.distill.session import Session
from kdsearch.distill.worker import Worker
from kdsearch.spec import load_spec
rank, folder = int(sys.argv[1]), Path(sys.argv[2])
distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2)
worker = Worker(torch.device("cpu"), rank, 2)
session = Session(folder, worker)
config = load_spec(json.loads((folder / "config.json").read_text()))
student, _ = run(config, session.resident, worker, report=lambda metrics: True)
torch.save(student.state_dict(), folder / f"{rank}.pt")
distributed.barrier()  # Neither leaves while the other still talks to it.
distributed.destroy_process_group()
"""


@pytest.mark.parametrize("distill", RECIPES.values(), ids=RECIPES)
def test_they_learn_the_same_whatever_has_no_gradient(distill: dict[str, Any], tmp_path: Path):
    hidden = {"wide": [32], "deep": [16, 16]}
    content = {
        # Batches of 200, of which each worker has a hundred, and no rest.
        "data": {"source": "digits", "batch_size": 200, "validation": 197 / 1797},
        "teachers": {
            name: {"model": {"name": "mlp", "hidden": h}, "epochs": 1} for name, h in hidden.items()
        },
        "student": {"name": "mlp", "hidden": [8]},
        "distill": {"teachers": {"members": ["wide"]}, **distill},
        "optim": {"name": "sgd", "lr": 0.05, "epochs": 2, "accumulate": 2},
        "bank": {"enabled": False},
    }
    config, alone = load_spec(content), Worker(torch.device("cpu"))
    session = Session(tmp_path, alone)
    for name in config.teachers:
        session.teacher(config, name, lambda metrics: True)
    (tmp_path / "config.json").write_text(json.dumps(content))
    command = [sys.executable, "-c", WORKER]
    workers = [subprocess.Popen([*command, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    expected = run(config, session.resident, alone, report=lambda metrics: True)[0].state_dict()
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for name, value in expected.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, rtol=1e-3, atol=1e-5)
