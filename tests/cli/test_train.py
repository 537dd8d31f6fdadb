"""`kdsearch train`: what it logs, in a process of its own, and what it takes for a config."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kdsearch.spec import has_domain, load_spec

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


SETTLED = """
name: small
data: {{source: digits, batch_size: 512}}
teachers: {{wide: {{model: {{name: convnet, width: 2, depth: 1}}, epochs: 1}}}}
student: {{name: convnet, width: 2, depth: 1}}
distill: {distill}
optim: {{name: sgd, epochs: 1}}
"""


@pytest.mark.parametrize(
    "distill",
    [
        "{teachers: {members: [wide]}, losses: {ce: {}, semckd: {weight: 400, layers: mean}}}",
        "{teachers: {members: [wide]}, losses: {ce: {}, hint: {weight: 0}}}",
        "{teachers: {members: [wide]}, losses: {ce: {}, hint: {match: {matching: {strategies: [last]}}}}}",
        "{teachers: {members: {subset: all, min: 1}}, losses: {ce: {}, kd: {}}}",
    ],
)
def test_domains_that_leave_nothing_to_search_are_settled(distill, folder, kdsearch):
    (folder / "config.yaml").write_text(SETTLED.format(distill=distill), encoding="utf-8")
    assert "this is a config" in kdsearch("check", "config.yaml").out
    answer = kdsearch("train", "config.yaml", "--out", "student")
    assert answer.code == 0, answer
    assert not has_domain(load_spec(folder / "student" / "config.yaml").tree())
