"""Splits that keep the share of every class."""

from __future__ import annotations

import torch

from kdsearch.data.images import Dataset, Images
from kdsearch.errors import InputError, nearest

#: What is held out as test when a source has no test images of its own: always the same fifth.
TEST_FRACTION, TEST_SEED = 0.2, 0


def split_validation(images: Images, fraction: float, seed: int) -> tuple[Images, Images]:
    """Split `images` at random into the larger part to train on and `fraction` of every class to score on.

    The same seed gives the same split. A class of two images or more is on both sides, a class of one is
    trained on. Both parts keep the order of `images`.
    Raises InputError for a fraction outside of (0, 1), or when there is nothing to hold out.
    """
    if not 0 < fraction < 1:
        raise InputError(f"the fraction to hold out must lie between 0 and 1; it is {fraction}")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    _, labels, counts = torch.unique(images.labels.cpu(), return_inverse=True, return_counts=True)
    by_class = order[labels[order].argsort(stable=True)]
    held = (counts * fraction).round().long().clamp(min=1).minimum(counts - 1)
    if not held.any():
        raise InputError(f"{len(images)} images of {len(counts)} classes are too few to split")
    first = counts.cumsum(0) - counts
    rank = torch.arange(len(images)) - first.repeat_interleave(counts)
    out = torch.zeros(len(images), dtype=torch.bool)
    out[by_class[rank < held.repeat_interleave(counts)]] = True
    return images[~out], images[out]


def only_classes(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    """The images of some classes, labelled by their place in `names`.

    Raises InputError for a class that the data set does not have, or one that is named twice.
    """
    for index, name in enumerate(names):
        if name not in dataset.classes or name in names[:index]:
            why = (
                f"is named twice in {', '.join(names)}" if name in names[:index] else "is none of the data's"
            )
            raise InputError(f"class '{name}' {why}{nearest(name, set(dataset.classes) - set(names))}")
    chosen = torch.tensor([dataset.classes.index(name) for name in names])

    def part(images: Images) -> Images:
        matches = images.labels[:, None] == chosen.to(images.labels.device)
        return Images(images.images[matches.any(1)], matches[matches.any(1)].int().argmax(1))

    return Dataset(part(dataset.train), None if dataset.test is None else part(dataset.test), names)


def with_test(train: Images, test: Images | None, classes: tuple[str, ...]) -> Dataset:
    """A dataset that has test images: `test`, or the fixed fifth of `train` where there are none."""
    if test is None:
        train, test = split_validation(train, TEST_FRACTION, TEST_SEED)
    return Dataset(train, test, classes)
