"""What half precision does to the outputs of teachers that the bank keeps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.data import Augment, Batches, Images, statistics
from kdsearch.distill.bank import Bank
from kdsearch.distill.shelves import LOGITS, Shelves, cut_logits, rounded, whole_logits
from kdsearch.spec import BankUse


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_is_too_large_for_half_precision_stays_finite(dtype: torch.dtype):
    values = torch.tensor([7e4, -1e30, 2.0, math.inf, -math.inf, math.nan], dtype=dtype)
    kept = rounded(values, torch.float16)
    assert kept.dtype == torch.float16
    np.testing.assert_array_equal(kept.float(), [65504, -65504, 2, math.inf, -math.inf, math.nan])


def shelves_of(folder: Path, use: BankUse, outputs: dict[tuple[str, str], tuple[int, ...]]) -> Any:
    """The shelves of a teacher `t`, and the batch of all four images."""
    images = Images(torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1), torch.zeros(4, dtype=torch.long))
    mean, std = statistics(images)
    batches = Batches(images, batch_size=4, augment=Augment(flip=True), mean=mean, std=std, seed=0)
    shelves = Shelves(Bank(folder, 10**9), use, outputs, {"t": {"teacher": "t"}}, batches)
    return shelves, next(iter(batches.epoch(0)))


def test_a_large_feature_teaches_the_same_read_or_computed(tmp_path: Path):
    shelves, batch = shelves_of(tmp_path, BankUse(), {("t", "layer"): (3,)})
    run = {"layer": torch.full((4, 3), 7e4)}
    computed = shelves.answer("t", ["layer"], batch, lambda *_: run)["layer"]
    read = shelves.answer("t", ["layer"], batch, lambda *_: {})["layer"]
    assert torch.equal(computed, read) and bool(read.isfinite().all())


@pytest.mark.parametrize("classes", [40_000, 1 << 16])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_the_most_probable_of_many_classes_are_kept(classes: int, dtype: torch.dtype):
    logits = torch.randn(6, classes)
    expected = torch.stack([torch.arange(6), classes - 1 - torch.arange(6)], 1)
    logits.scatter_(1, expected, torch.tensor([[30.0, 20.0]]).expand(6, 2))
    whole = whole_logits(cut_logits(logits, 2, dtype), 2, classes)
    assert torch.equal(whole.topk(2).indices, expected)


def test_more_classes_than_sixteen_bits_can_number_are_kept_in_single_precision(tmp_path: Path):
    classes = (1 << 16) + 10
    shelves, batch = shelves_of(tmp_path, BankUse(topk=2), {("t", LOGITS): (classes,)})
    logits = torch.zeros(4, classes)
    logits[:, -1], logits[:, 3] = 30, 20
    for run in ({LOGITS: logits}, {}):  # computed, then read
        found = shelves.answer("t", [LOGITS], batch, lambda *_, run=run: run)[LOGITS]
        assert found.topk(2).indices.tolist() == [[classes - 1, 3]] * 4
