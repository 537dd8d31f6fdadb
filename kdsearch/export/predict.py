"""Labels of image files, as an export tells them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kdsearch.errors import InputError
from kdsearch.export.load import Export

if TYPE_CHECKING:
    from torch import Tensor

    from kdsearch.types import Shape


@dataclass(frozen=True)
class Prediction:
    """The most probable label of an image."""

    path: Path
    label: str
    probability: float


def predict(export: Export, paths: Sequence[Path]) -> Iterator[Prediction]:
    """The label of each image, by the student as it ships.

    Raises:
        InputError: When a file is missing or no image, or what the format needs is not installed.
    """
    import torch

    form, classes = export.form(), export.described["classes"]
    images = [read_image(path, tuple(export.described["shape"])) for path in paths]
    with torch.inference_mode():
        for path, image in zip(paths, images, strict=True):
            probability, index = torch.softmax(form(image[None])[0], 0).max(0)
            yield Prediction(path, str(classes[int(index)]), float(probability))


def read_image(path: Path, shape: Shape) -> Tensor:
    """The image of a file as (C, H, W) uint8: made grey or coloured, and scaled and cropped, as `shape` asks.

    Raises:
        InputError: When it is missing or no image, or of another size and the model's is no square.
    """
    from kdsearch.data.decode import decode

    channels, height, width = shape
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    image = decode([(str(path), path)])[0]
    if image.shape[1:] != (height, width):
        if height != width:
            raise InputError(f"{path} is of {image.shape[2]}x{image.shape[1]} pixels, not {width}x{height}")
        image = decode([(str(path), path)], size=height)[0]
    if len(image) == channels:
        return image
    if channels == 1:
        return _grey(image)
    if (len(image), channels) == (1, 3):
        return image.expand(channels, -1, -1)
    raise InputError(f"{path} has {len(image)} channels, and the student takes {channels}")


def _grey(image: Tensor) -> Tensor:
    """The luma (1, H, W) of an image (3, H, W), both uint8: ITU-R BT.601 in Pillow's whole numbers."""
    import torch

    weights = torch.tensor([19595, 38470, 7471]).view(3, 1, 1)
    return ((image * weights).sum(0, keepdim=True) + 32768 >> 16).to(torch.uint8)
