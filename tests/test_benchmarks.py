"""The plain loop of the benchmarks computes what `distill()` computes: only then is their race fair."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.step import CASES, Contest


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.name)
def test_both_loops_train_the_same_student(case):
    # One batch an epoch, so that the order, which each loop draws in its own way, makes no difference.
    contest = Contest(replace(case, batches=1, epochs=5))
    (ours, run_ours), (plain, run_plain) = contest.ours(), contest.plain()
    start = {name: value.clone() for name, value in plain.state_dict().items()}
    assert run_ours() == pytest.approx(run_plain(), rel=1e-4)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-3, atol=1e-4)
        assert not torch.equal(value, start[name])
