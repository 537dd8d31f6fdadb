"""Figures that follow from predictions, against scikit-learn and plain loops in float64."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, recall_score
from sklearn.preprocessing import label_binarize

from kdsearch.errors import InputError
from kdsearch.measure.balanced_accuracy import balanced_accuracy
from kdsearch.measure.calibration_error import calibration_error
from kdsearch.measure.class_accuracy import class_accuracy
from kdsearch.measure.macro_f1 import macro_f1
from kdsearch.measure.nll import nll
from kdsearch.measure.per_class import class_accuracies

NAMES = ("cat", "dog", "7", "owl", "yak")


def drawn(seed: int, n: int = 501, classes: int = 5, scale: float = 2.0):
    """Predictions on uneven classes, the last of which is named now and then but has no image."""
    random = np.random.default_rng(seed)
    labels = random.choice(classes - 1, size=n, p=[0.6, 0.25, 0.1, 0.05])
    logits = scale * random.normal(size=(n, classes))
    logits[np.arange(n), labels] += 1.5
    return torch.from_numpy(logits).float(), torch.from_numpy(labels)


def softmax(logits):
    values = np.exp(logits.double().numpy() - logits.double().numpy().max(1, keepdims=True))
    return values / values.sum(1, keepdims=True)


@pytest.fixture(params=range(4))
def split(request):
    return drawn(request.param)


def test_balanced_accuracy_is_scikit_learns(split):
    logits, labels = split
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        expected = balanced_accuracy_score(labels, logits.argmax(1))
    assert balanced_accuracy(logits, labels) == pytest.approx(expected, abs=1e-12)


def test_macro_f1_is_scikit_learns(split):
    logits, labels = split
    expected = f1_score(labels, logits.argmax(1), average="macro")
    assert macro_f1(logits, labels) == pytest.approx(expected, abs=1e-12)


def test_the_accuracy_of_each_class_is_scikit_learns_recall(split):
    logits, labels = split
    expected = recall_score(labels, logits.argmax(1), average=None, labels=range(4))
    found = class_accuracies(logits, labels)
    assert found[:4].tolist() == pytest.approx(expected.tolist()) and found[4].isnan()
    assert class_accuracy(logits, labels, NAMES) == pytest.approx(expected.min())
    assert class_accuracy(logits, labels, NAMES, of="dog") == pytest.approx(expected[1])
    assert class_accuracy(logits, labels, NAMES, of=3) == pytest.approx(expected[3])


def test_a_class_goes_by_its_name_before_its_number():
    logits, labels = drawn(0)
    assert class_accuracy(logits, labels, NAMES, of=7) == class_accuracy(logits, labels, NAMES, of="7")


@pytest.mark.parametrize("wrong", ["cow", 5, -1, "0"])
def test_an_unknown_class_is_refused(wrong):
    with pytest.raises(InputError, match=f"there is no class '{wrong}'"):
        class_accuracy(*drawn(0), NAMES, of=wrong)


def test_nll_is_scikit_learns(split):
    logits, labels = split
    expected = log_loss(label_binarize(labels, classes=range(5)), softmax(logits))
    assert nll(logits, labels) == pytest.approx(expected, rel=1e-9)


def test_nll_of_a_sure_mistake_is_finite():
    assert nll(torch.tensor([[1e4, 0.0]]), torch.tensor([1])) == 1e4


def binned(logits, labels, edges):
    """Calibration error by its definition: one loop over bins (low, high]."""
    probabilities = softmax(logits)
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels.numpy()
    error = 0.0
    for low, high in pairwise(edges):
        inside = (sure > low) & (sure <= high)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    return error


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_calibration_error_is_that_of_the_definition(split, bins):
    logits, labels = split
    expected = binned(logits, labels, np.linspace(0, 1, bins + 1))
    assert calibration_error(logits, labels, bins=bins) == pytest.approx(expected, abs=1e-12)


def test_calibration_error_has_fifteen_bins(split):
    assert calibration_error(*split) == calibration_error(*split, bins=15)


@pytest.mark.parametrize("bins", [4, 15])
def test_adaptive_bins_hold_as_many_images_each(split, bins):
    logits, labels = split
    probabilities = softmax(logits)
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels.numpy()
    expected = 0.0
    for part in np.array_split(np.argsort(sure, kind="stable"), bins):
        expected += len(part) / len(sure) * abs(right[part].mean() - sure[part].mean())
    assert calibration_error(logits, labels, bins=bins, adaptive=True) == pytest.approx(expected, abs=1e-12)


def test_calibrated_predictions_have_no_calibration_error_and_wrong_ones_all_of_it():
    logits = torch.log(torch.tensor([[0.75, 0.25]] * 4, dtype=torch.float64))
    assert calibration_error(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx(0, abs=1e-12)
    sure = torch.tensor([[100.0, 0.0]] * 3)
    assert calibration_error(sure, torch.ones(3, dtype=torch.long)) == pytest.approx(1.0)
    assert calibration_error(sure, torch.zeros(3, dtype=torch.long), adaptive=True) == pytest.approx(0.0)
