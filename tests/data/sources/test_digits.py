import subprocess
import sys

import torch
from sklearn.datasets import load_digits

from kdsearch.data import load


def test_digits_are_those_of_scikit_learn():
    dataset = load({"source": "digits"})
    assert dataset.shape == (1, 8, 8) and dataset.classes == tuple("0123456789")
    assert len(dataset.train) + len(dataset.test) == 1797
    bunch = load_digits()
    theirs = sorted(
        zip((bunch.images * 255 / 16).round().reshape(-1, 64).tolist(), bunch.target, strict=True)
    )
    both = [dataset.train, dataset.test]
    ours = [(x.flatten().tolist(), y.item()) for s in both for x, y in zip(s.images, s.labels, strict=True)]
    assert sorted(ours) == theirs


def test_the_test_split_is_always_the_same_fifth_of_each_class():
    first, second = load({"source": "digits"}), load({"source": "digits"})
    assert torch.equal(first.test.images, second.test.images)
    total = first.train.labels.bincount() + first.test.labels.bincount()
    assert ((first.test.labels.bincount() / total - 0.2).abs() < 0.005).all()


def test_reading_the_digits_imports_neither_scikit_learn_nor_torchvision():
    code = (
        "import sys; from kdsearch.data import load; load({'source': 'digits'}); "
        "assert not {'sklearn', 'torchvision', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
