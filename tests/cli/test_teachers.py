"""`kdsearch teachers`, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SPACE = """
name: small
data: {source: digits, batch_size: 64}
teachers: {wide: {model: {name: mlp, hidden: [64]}, epochs: 3}}
student: {name: mlp, hidden: [8]}
distill: {teachers: {members: [wide]}, losses: {ce: {}, kd: {}}}
optim: {name: sgd, epochs: 2}
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kdsearch", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_that_start_together_train_each_teacher_once(tmp_path):
    (tmp_path / "space.yaml").write_text(SPACE, encoding="utf-8")
    both = [start(tmp_path, "teachers", "space.yaml") for _ in range(2)]
    printed = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("epoch 3" in text for text in printed) == 1
    assert len(list((tmp_path / "kdsearch_store/teachers").glob("*.safetensors"))) == 1
    assert len({text.splitlines()[-1] for text in printed}) == 1


@pytest.mark.slow
def test_a_checkpoint_is_loaded_as_it_is(tmp_path):
    (tmp_path / "space.yaml").write_text(SPACE, encoding="utf-8")
    start(tmp_path, "teachers", "space.yaml").communicate(timeout=120)
    (weights,) = (tmp_path / "kdsearch_store/teachers").glob("*.safetensors")
    kept = weights.rename(tmp_path / "mine.safetensors")
    given = f"teachers.wide.weights={kept}"
    process = start(tmp_path, "teachers", "space.yaml", "--set", given)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "epoch" not in printed and "mine.safetensors" in printed
