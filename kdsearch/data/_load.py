"""From a config to a dataset."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from kdsearch.data.images import Dataset, Images
from kdsearch.errors import InputError
from kdsearch.registry import find


def load(config: Mapping[str, object]) -> Dataset:
    """The dataset that `config` names: `source`, a registered one or `package.module:name`, and its options.

    Raises InputError, naming the source, for an unknown one, when it refuses its options, and when what
    it returns are not labelled images: (N, C, H, W) uint8 with labels (N,) int64 in the range of the
    classes, at least one in each split.
    """
    source = str(config["source"])
    options = {key: value for key, value in config.items() if key != "source"}
    try:
        dataset = find("dataset", source).load()(**options)
    except (TypeError, ValueError, OSError) as error:
        raise InputError(f"dataset '{source}' cannot be loaded: {error}") from error
    if not isinstance(dataset, Dataset):
        raise InputError(f"dataset '{source}' is a {type(dataset).__name__}, not a kdsearch.data.Dataset")
    for split, images in {"train": dataset.train, "test": dataset.test}.items():
        if images is not None and (problem := _problem(images, len(dataset.classes))):
            raise InputError(f"dataset '{source}', {split} split: {problem}")
    if dataset.test is not None and dataset.test.shape != dataset.shape:
        raise InputError(
            f"dataset '{source}': test images have the shape {dataset.test.shape}, others {dataset.shape}"
        )
    return dataset


def _problem(images: Images, classes: int) -> str | None:
    pixels, labels = images.images, images.labels
    if pixels.ndim != 4 or pixels.dtype != torch.uint8:
        return f"images must be (N, C, H, W) uint8; they are {tuple(pixels.shape)} {pixels.dtype}"
    if labels.shape != pixels.shape[:1] or labels.dtype != torch.int64:
        return f"labels must be ({len(pixels)},) int64; they are {tuple(labels.shape)} {labels.dtype}"
    if len(labels) == 0:
        return "it has no images"
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        return f"labels must lie in 0 to {classes - 1}; they lie in {low} to {high}"
    return None
