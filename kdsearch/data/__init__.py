"""Data: labelled images held whole in memory, split, augmented and cut into batches."""

from __future__ import annotations

from kdsearch.data._load import load
from kdsearch.data.augment import Augment, Views
from kdsearch.data.batches import Batch, Batches, evaluation_batches
from kdsearch.data.images import Dataset, Images
from kdsearch.data.mix import Mix, Mixed, Mixes
from kdsearch.data.normalise import normalise, statistics
from kdsearch.data.split import only_classes, split_validation
from kdsearch.data.transfer import to_device

__all__ = [
    "Augment",
    "Batch",
    "Batches",
    "Dataset",
    "Images",
    "Mix",
    "Mixed",
    "Mixes",
    "Views",
    "evaluation_batches",
    "load",
    "normalise",
    "only_classes",
    "split_validation",
    "statistics",
    "to_device",
]
