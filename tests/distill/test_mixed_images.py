"""Losses of images that are mixed of two: by both labels where that means something, else by the larger."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.data import Mixed
from kdsearch.distill.preflight import preflight
from kdsearch.errors import InputError
from kdsearch.spec import load_spec
from tests.distill.test_objective import (
    CLASSES,
    IMAGES,
    batch,
    divergence,
    objective,
    outputs,
    shown,
    softmax,
)

OTHERS = torch.randint(CLASSES, (IMAGES,), generator=torch.Generator().manual_seed(7))
SHARES = torch.rand(IMAGES, generator=torch.Generator().manual_seed(8)) / 2 + 0.5


def mixed() -> Any:
    return replace(batch(), mixed=Mixed(OTHERS, SHARES))


def targets() -> Any:
    """The labels of both images as probabilities (B, C), in float64."""
    rows, shares = np.arange(IMAGES), SHARES.double().numpy()
    table = np.zeros((IMAGES, CLASSES))
    np.add.at(table, (rows, batch().labels.numpy()), shares)
    np.add.at(table, (rows, OTHERS.numpy()), 1 - shares)
    return table


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_that_with_both_labels_by_their_shares(smoothing: float):
    made = objective({"ce": {"label_smoothing": smoothing}})
    student, _ = outputs(made)
    total, _ = made(mixed(), shown())
    target = (1 - smoothing) * targets() + smoothing / CLASSES
    assert total.item() == pytest.approx(-(target * np.log(softmax(student))).sum(1).mean(), rel=1e-5)


def test_a_virtual_teacher_is_right_about_both_labels_by_their_shares():
    made = objective({"virtual_teacher": {"correct": 0.9, "temperature": 2.0}})
    student, _ = outputs(made)
    total, _ = made(mixed(), shown())
    shares, expected = SHARES.double().numpy(), 0.0
    for labels, share in ((batch().labels, shares), (OTHERS, 1 - shares)):
        virtual = np.log(np.where(np.eye(CLASSES)[labels] > 0, 0.9, 0.1 / (CLASSES - 1)))
        expected += (share * divergence(student, virtual, 2.0)).mean()
    assert total.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("losses", "combine"),
    [
        ({"kd": {}}, "mean"),
        ({"kd": {"only": {"correct": True}}}, "mean"),
        ({"dkd": {}}, "mean"),
        ({"kd": {}}, "confidence"),
    ],
)
def test_what_needs_one_label_goes_by_the_larger_share(losses: dict[str, Any], combine: str):
    made = objective(losses, combine=combine)
    assert made(mixed(), shown())[0].item() == made(batch(), shown())[0].item()


def test_a_loss_on_labels_must_tell_images_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "whole_batch.py").write_text(
        "from torch.nn import functional as F\n\n"
        "def mine(student_logits, labels):\n    return F.cross_entropy(student_logits, labels)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    content: dict[str, Any] = {
        "data": {"source": "digits", "augment": {"mixup": 0.2}},
        "student": "mlp",
        "distill": {"losses": {"ce": {"label_smoothing": {"float": [0.0, 0.2]}}, "own": "whole_batch:mine"}},
    }
    try:
        with pytest.raises(InputError, match=r"distill\.losses\.own: mixed images \(data\.augment\).*mine"):
            preflight(load_spec(content))
        del content["distill"]["losses"]["own"]
        assert preflight(load_spec(content)).classes
    finally:
        sys.modules.pop("whole_batch", None)


def test_shares_below_zero_are_refused():
    with pytest.raises(InputError, match=r"data\.augment\.cutmix"):
        load_spec({"data": {"source": "digits", "augment": {"cutmix": -1}}, "student": "mlp"})
