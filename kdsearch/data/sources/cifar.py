"""CIFAR-10 and CIFAR-100, in the pickled batches of the originals."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdsearch.data.images import Dataset, Images
from kdsearch.data.sources._download import present
from kdsearch.errors import InputError
from kdsearch.registry import register


@register("dataset", paper="Krizhevsky, 2009")
def cifar10(*, root: str = "./data") -> Dataset:
    """Photographs of 10 classes: 50,000 images 3x32x32 to train on, 10,000 to test.

    Raises InputError when they can neither be found under `root` nor be downloaded, or a file is damaged.

    Args:
        root: Folder in torchvision's layout; downloaded into unless it holds the images.
    """
    folder = present(root, "cifar-10-batches-py", "CIFAR10")
    train = [folder / f"data_batch_{i}" for i in range(1, 6)]
    return _read(train, folder / "test_batch", folder / "batches.meta", "labels", "label_names")


@register("dataset", paper="Krizhevsky, 2009")
def cifar100(*, root: str = "./data") -> Dataset:
    """Photographs of 100 classes: 50,000 images 3x32x32 to train on, 10,000 to test.

    Raises InputError when they can neither be found under `root` nor be downloaded, or a file is damaged.

    Args:
        root: Folder in torchvision's layout; downloaded into unless it holds the images.
    """
    folder = present(root, "cifar-100-python", "CIFAR100")
    return _read([folder / "train"], folder / "test", folder / "meta", "fine_labels", "fine_label_names")


def _read(train: Sequence[Path], test: Path, meta: Path, labels: str, names: str) -> Dataset:
    def split(paths: Sequence[Path]) -> Images:
        batches = [_unpickled(path, "data", labels) for path in paths]
        pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
        targets = np.concatenate([batch[labels] for batch in batches]).astype(np.int64)
        return Images(torch.from_numpy(pixels), torch.from_numpy(targets))

    return Dataset(split(train), split([test]), tuple(_unpickled(meta, names)[names]))


class _ArraysOnly(pickle.Unpickler):
    """A pickle can run any code it names; these batches need three names of numpy and one codec."""

    _allowed = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return getattr(import_module(module.replace("numpy.core", "numpy._core")), name)


def _unpickled(path: Path, *keys: str) -> dict[str, Any]:
    # Damaged pickles raise nearly anything; what they hold is checked here, once.
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()
        return {key: content[key] for key in keys}
    except Exception as error:
        raise InputError(f"{path} cannot be read as a CIFAR batch: {error}") from error
