"""A folder with one folder of images for each class."""

from __future__ import annotations

from pathlib import Path

import torch

from kdsearch.data.decode import decode
from kdsearch.data.images import Dataset, Images
from kdsearch.data.split import with_test
from kdsearch.errors import InputError
from kdsearch.registry import register
from kdsearch.types import PositiveInt

_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp"})


@register("dataset")
def image_folder(*, path: str, size: PositiveInt | None = None) -> Dataset:
    """Images in one folder a class, or in `train/` and `test/` (or `val/`) with one folder a class each.

    Without a test folder a fixed fifth of every class is the test split. Images are uint8, (C, H, W), grey
    if all of them are. Raises InputError for a missing folder, one without classes, an empty class, or an
    image that cannot be decoded or is of another size than the others.

    Args:
        path: The folder.
        size: Pixels of the shorter side after resizing, of which the centre square is kept.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise InputError(f"image_folder: there is no folder {root}")
    train = root / "train" if (root / "train").is_dir() else root
    test = next((root / name for name in ("test", "val") if train != root and (root / name).is_dir()), None)
    classes = _subfolders(train)
    if not classes:
        raise InputError(f"image_folder: {train} has no class folders")
    if test is not None and (extra := sorted(set(_subfolders(test)) - set(classes))):
        raise InputError(f"image_folder: {test} has classes that {train} lacks: {', '.join(extra[:3])}")
    held_out = _read(test, classes, size) if test is not None else None
    return with_test(_read(train, classes, size), held_out, classes)


def _subfolders(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")))


def _read(folder: Path, classes: tuple[str, ...], size: int | None) -> Images:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in _ENDINGS)
        if not found:
            raise InputError(f"image_folder: class folder {folder / name} has no images")
        files += found
        labels += [label] * len(found)
    return Images(decode([(str(file), file) for file in files], size), torch.tensor(labels))
