"""`kdsearch train`, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

CONFIG = """
name: small
data: {{source: digits, batch_size: 64}}
teachers: {{wide: {{model: {{name: convnet, width: 4, depth: 1}}, epochs: 1}}}}
student: {{name: convnet, width: 2, depth: 1}}
distill: {{teachers: {{members: [wide]}}, losses: {{ce: {{}}, {loss}: {{}}}}}}
optim: {{name: sgd, epochs: 3}}
bank: {{bytes: {bytes}}}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss, size, logged",
    [
        ("attention_gradient", 10**9, "the teacher 'wide' is run, not read from the bank"),
        ("kd", 1000, "is full: bank.bytes leaves 1e-06 GB to outputs"),
    ],
)
def test_what_is_logged_is_on_stderr_once(tmp_path, loss, size, logged):
    (tmp_path / "config.yaml").write_text(CONFIG.format(loss=loss, bytes=size), encoding="utf-8")
    command = [sys.executable, "-m", "kdsearch", "train", "config.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(logged) == 1
