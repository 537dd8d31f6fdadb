"""MNIST and Fashion-MNIST, in the IDX format of the originals."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kdsearch.data.images import Dataset, Images
from kdsearch.data.sources._download import present
from kdsearch.errors import InputError
from kdsearch.registry import register

_FASHION = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot"


@register("dataset", paper="LeCun et al., 1998")
def mnist(*, root: str = "./data") -> Dataset:
    """Handwritten digits: 60,000 images 1x28x28 to train on, 10,000 to test.

    Raises InputError when they can neither be found under `root` nor be downloaded, or a file is damaged.

    Args:
        root: Folder in torchvision's layout; downloaded into unless it holds the images.
    """
    return _read(present(root, "MNIST", "MNIST") / "raw", tuple("0123456789"))


@register("dataset", paper="Xiao et al., 2017")
def fashion_mnist(*, root: str = "./data") -> Dataset:
    """Articles of clothing: 60,000 images 1x28x28 to train on, 10,000 to test.

    Raises InputError when they can neither be found under `root` nor be downloaded, or a file is damaged.

    Args:
        root: Folder in torchvision's layout; downloaded into unless it holds the images.
    """
    classes = tuple(name.replace("_", " ") for name in _FASHION.split())
    return _read(present(root, "FashionMNIST", "FashionMNIST") / "raw", classes)


def _read(raw: Path, classes: tuple[str, ...]) -> Dataset:
    def split(name: str) -> Images:
        images = _idx(raw / f"{name}-images-idx3-ubyte", dimensions=3).unsqueeze(1)
        return Images(images, _idx(raw / f"{name}-labels-idx1-ubyte", dimensions=1).long())

    return Dataset(split("train"), split("t10k"), classes)


def _idx(path: Path, dimensions: int) -> Tensor:
    """The uint8 array of an IDX file: two zeros, 8 for bytes, the number of dimensions, each, the values."""
    packed = path.with_name(f"{path.name}.gz")
    try:
        content = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
        shape = np.frombuffer(content, ">u4", dimensions, offset=4).astype(int)
        if content[:4] != bytes((0, 0, 8, dimensions)):
            raise ValueError("it is not an IDX file of bytes")
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return torch.from_numpy(values.copy())
