from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdsearch.data import Images


@pytest.fixture
def shared_data() -> Path:
    """Real data sets beside the checkout, where there are any."""
    folder = Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    return folder


@pytest.fixture
def make_images():
    """Random images, labelled 0, 1, … in turn."""

    def make(n: int = 50, shape=(3, 6, 7), classes: int = 5, seed: int = 0) -> Images:
        generator = torch.Generator().manual_seed(seed)
        pixels = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=generator)
        return Images(pixels, torch.arange(n) % classes)

    return make


@pytest.fixture
def picture():
    """A random picture, grey or in colours, as PIL sees it."""

    def make(seed: int = 0, size: int = 6, grey: bool = False) -> Image.Image:
        shape = (size, size) if grey else (size, size, 3)
        return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))

    return make
