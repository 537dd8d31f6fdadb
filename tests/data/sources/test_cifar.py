import pickle

import numpy as np
import pytest
import torch

from kdsearch.data import load
from kdsearch.errors import InputError


class Anything:
    pass


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (4, 3072), np.uint8)


def write(path, content) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.fixture
def cifar10(tmp_path):
    """A folder in torchvision's layout with four random images a batch."""
    folder = tmp_path / "cifar-10-batches-py"
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for seed, name in enumerate(names):
        write(folder / name, {"data": pixels(seed), "labels": [0, 1, 2, 9]})
    write(folder / "batches.meta", {"label_names": [f"class {i}" for i in range(10)]})
    return tmp_path


def test_cifar10_is_read_from_the_layout_of_torchvision(cifar10):
    dataset = load({"source": "cifar10", "root": str(cifar10)})
    assert dataset.train.images.shape == (20, 3, 32, 32) and dataset.classes[1] == "class 1"
    assert torch.equal(dataset.test.images, torch.from_numpy(pixels(5).reshape(4, 3, 32, 32)))
    assert dataset.test.labels.tolist() == [0, 1, 2, 9]


def test_cifar100_is_read_with_its_fine_labels(tmp_path):
    folder = tmp_path / "cifar-100-python"
    for name in ("train", "test"):
        write(folder / name, {"data": pixels(0), "fine_labels": [0, 1, 2, 99], "coarse_labels": [0, 0, 1, 1]})
    write(folder / "meta", {"fine_label_names": [f"class {i}" for i in range(100)]})
    dataset = load({"source": "cifar100", "root": str(tmp_path)})
    assert dataset.train.labels.tolist() == [0, 1, 2, 99] and len(dataset.classes) == 100


def test_a_batch_that_names_code_is_refused_without_running_it(cifar10):
    write(cifar10 / "cifar-10-batches-py" / "test_batch", Anything())
    with pytest.raises(InputError, match=r"test_batch cannot be read as a CIFAR batch: it names .*Anything"):
        load({"source": "cifar10", "root": str(cifar10)})


@pytest.mark.parametrize("kept", [0, 50, 5000])
def test_a_truncated_batch_is_named(cifar10, kept):
    path = cifar10 / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="data_batch_3 cannot be read"):
        load({"source": "cifar10", "root": str(cifar10)})
