"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch

from kdsearch.data.images import Dataset, Images
from kdsearch.data.split import with_test
from kdsearch.errors import InputError
from kdsearch.registry import register


@register("dataset", paper="Alpaydin and Kaynak, 1998")
def digits() -> Dataset:
    """1,797 real images of handwritten digits, 1x8x8, no download; a fixed fifth is the test split.

    Raises InputError when scikit-learn is not installed.
    """
    # Read from scikit-learn's folder: `import sklearn.datasets` takes 2.8 s, the file 20 ms.
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise InputError("dataset 'digits' needs scikit-learn, which is not installed")
    table = np.loadtxt(Path(package.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
    pixels = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    images = Images(torch.from_numpy(pixels), torch.from_numpy(table[:, -1].astype(np.int64)))
    return with_test(images, None, tuple("0123456789"))
