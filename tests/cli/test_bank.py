"""`kdsearch bank`: what is kept, and its removal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from kdsearch.distill.bank import Bank
from kdsearch.distill.outcomes import outcomes

Run = Callable[..., Any]


def filled(folder: Path) -> Bank:
    bank = Bank(folder / "kdsearch_store/bank", 10**9)
    about = {"teacher": "wide", "model": {"name": "mlp"}, "weights": "0123456789abcdef"}
    for view in range(2):
        shelf = bank.shelf({**about, "layer": "stage2"}, (1000, 5, 7), torch.float16)
        shelf.write(view, 0, torch.ones(1000, 5, 7))
    assert outcomes(bank, {**about, "layer": "", "outcomes": 162}, (162 * 1000, 10), torch.float16)
    return bank


def test_it_shows_what_is_kept(kdsearch: Run, folder: Path):
    filled(folder)
    answer = kdsearch("bank")
    assert answer.code == 0, answer.err
    head, *rows, total = answer.out.splitlines()
    assert head.split() == ["Teacher", "Layer", "Weights", "Images", "Kept", "as", "Views", "MB"]
    assert sorted(row.split() for row in rows) == [
        ["wide", "logits", "0123456789abcdef", "1,000", "10", "float16", "all", "162", "3.9"],
        ["wide", "stage2", "0123456789abcdef", "1,000", "5x7", "float16", "2", "0.1"],
    ]
    assert total == "4.0 MB in kdsearch_store/bank"


def test_it_clears_what_is_kept_and_nothing_else(kdsearch: Run, folder: Path):
    bank = filled(folder)
    (folder / "kdsearch_store/teachers").mkdir()
    answer = kdsearch("bank", "--clear", "--storage", folder / "kdsearch_store")
    assert (answer.code, answer.out) == (0, "removed 4.0 MB\n")
    assert not bank.folder.exists() and (folder / "kdsearch_store/teachers").exists()
    assert kdsearch("bank").out == "0.0 MB in kdsearch_store/bank\n"


def test_a_store_that_is_not_there_is_named(kdsearch: Run):
    answer = kdsearch("bank", "--storage", "nowhere")
    assert answer.code == 2 and "--storage nowhere: there is no such folder" in answer.err
