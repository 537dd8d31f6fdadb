"""From image files to one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from kdsearch.errors import InputError


def decode(files: Sequence[tuple[str, Path | bytes]], size: int | None = None) -> Tensor:
    """Decode images, each a name for messages and a path or the bytes of a file, to (N, C, H, W) uint8.

    They have one channel when all are grey, else three (RGB). With `size`, the shorter side is resized to
    it and the centre square kept; without, all must be of one size.
    Raises InputError, naming the image, for one that cannot be decoded or is of another size.
    """
    first = _open(*files[0], size)
    pixels = np.empty((len(files), 3, *first.shape[:2]), np.uint8)
    grey = True
    for i, (name, file) in enumerate(files):
        image = _open(name, file, size)
        if image.shape[:2] != first.shape[:2]:
            raise InputError(
                f"{name} is of {image.shape[1]}x{image.shape[0]} pixels and {files[0][0]} of "
                f"{first.shape[1]}x{first.shape[0]}; give a `size` to bring them to one, or resize them"
            )
        pixels[i] = image if image.ndim == 2 else image.transpose(2, 0, 1)
        grey = grey and image.ndim == 2
    # The slice of grey images is copied so that the three channels can be freed.
    return torch.from_numpy(pixels[:, :1].copy() if grey else pixels)


def _open(name: str, file: Path | bytes, size: int | None) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    try:
        with Image.open(file if isinstance(file, Path) else BytesIO(file)) as image:
            if image.mode.startswith(("I", "F")):
                raise InputError(f"{name} has {image.mode} pixels; images of 8 bits per channel are read")
            plain = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
            return np.asarray(plain if size is None else _centre(plain, size))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{name} cannot be decoded as an image: {error}") from error


def _centre(image: Image.Image, size: int) -> Image.Image:
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return resized.crop((left, top, left + size, top + size))
