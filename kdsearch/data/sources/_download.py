"""Downloads through torchvision, which knows the mirrors and the checksums."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kdsearch.errors import InputError


def present(root: str, folder: str, dataset: str) -> Path:
    """The folder `root/folder`, downloaded as torchvision's `dataset` unless it is there.

    It is there whole or not at all, however many processes ask for it at once.
    Raises InputError, naming the root, when it cannot be downloaded.
    """
    place = Path(root).expanduser() / folder
    if place.is_dir():
        return place
    # Three seconds of import, for downloads only.
    from torchvision import datasets

    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".download-") as temporary:
            getattr(datasets, dataset)(temporary, download=True)
            if not place.is_dir():
                (Path(temporary) / folder).replace(place)
    except (OSError, RuntimeError) as error:
        if not place.is_dir():
            reason = " ".join(str(error).split())
            raise InputError(f"{dataset} is not under {root} and cannot be downloaded: {reason}") from error
    return place
