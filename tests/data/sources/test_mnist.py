import gzip

import numpy as np
import pytest
import torch

from kdsearch.data import load
from kdsearch.errors import InputError

FILES = {"train-images-idx3-ubyte": (20, 28, 28), "train-labels-idx1-ubyte": (20,)}
FILES |= {"t10k-images-idx3-ubyte": (10, 28, 28), "t10k-labels-idx1-ubyte": (10,)}


def idx(values: np.ndarray) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


@pytest.fixture(params=["MNIST", "FashionMNIST"])
def root(tmp_path, request):
    """A folder in torchvision's layout with a few random images."""
    raw = tmp_path / request.param / "raw"
    raw.mkdir(parents=True)
    for name, shape in FILES.items():
        high = 256 if len(shape) == 3 else 10
        (raw / name).write_bytes(idx(np.random.default_rng(0).integers(0, high, shape, np.uint8)))
    return tmp_path


@pytest.fixture
def config(root):
    source = "mnist" if (root / "MNIST").exists() else "fashion_mnist"
    return {"source": source, "root": str(root)}


def test_files_in_the_layout_of_torchvision_are_read_as_they_are(root, config):
    dataset = load(config)
    expected = np.random.default_rng(0).integers(0, 256, (20, 1, 28, 28), np.uint8)
    assert torch.equal(dataset.train.images, torch.from_numpy(expected))
    assert dataset.test.images.shape == (10, 1, 28, 28) and len(dataset.classes) == 10


def test_packed_files_are_read_too(root, config):
    expected = load(config)
    for path in root.glob("*/raw/*"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert torch.equal(load(config).train.images, expected.train.images)


@pytest.mark.parametrize("kept", [0, 3, 10, 500])
def test_a_truncated_file_is_named(root, config, kept):
    (path,) = root.glob("*/raw/train-images-idx3-ubyte")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="train-images-idx3-ubyte cannot be read"):
        load(config)


def test_a_packed_file_that_is_damaged_within_is_named(root, config):
    (path,) = root.glob("*/raw/train-images-idx3-ubyte")
    packed = bytearray(gzip.compress(path.read_bytes()))
    packed[10:20] = b"\xff" * 10
    path.with_name(f"{path.name}.gz").write_bytes(packed)
    path.unlink()
    with pytest.raises(InputError, match="train-images-idx3-ubyte cannot be read"):
        load(config)


def test_a_missing_file_is_named(root, config):
    (path,) = root.glob("*/raw/t10k-labels-idx1-ubyte")
    path.unlink()
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte cannot be read"):
        load(config)


def test_a_download_that_cannot_be_written_is_refused_with_the_root(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"MNIST is not under .*file and cannot be downloaded"):
        load({"source": "mnist", "root": str(tmp_path / "file")})


def test_the_real_mnist_has_seventy_thousand_digits(shared_data):
    dataset = load({"source": "mnist", "root": str(shared_data / "mnist")})
    assert (len(dataset.train), len(dataset.test), dataset.shape) == (60_000, 10_000, (1, 28, 28))
    assert dataset.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert dataset.train.labels.bincount().tolist()[:3] == [5923, 6742, 5958]
