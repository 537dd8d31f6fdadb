"""Accuracy, against a count by hand."""

from __future__ import annotations

import torch

from kdsearch.measure.accuracy import accuracy


def test_accuracy_is_the_fraction_of_right_answers():
    logits = torch.tensor([[0.1, 0.9, 0.0], [2.0, 1.0, 0.0], [-3.0, -2.0, -1.0], [0.0, 1.0, 0.5]])
    assert accuracy(logits, torch.tensor([1, 0, 2, 2])) == 0.75


def test_accuracy_of_half_precision_logits_does_not_lose_counts():
    labels = torch.zeros(10_007, dtype=torch.long)
    labels[0] = 1
    logits = torch.tensor([[1.0, 0.0]], dtype=torch.float16).expand(10_007, 2)
    assert accuracy(logits, labels) == 10_006 / 10_007
