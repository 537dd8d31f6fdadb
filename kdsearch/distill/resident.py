"""What stays in memory from one trial to the next: the split data, and the trained teachers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from kdsearch import data, models
from kdsearch.data import Dataset, Images
from kdsearch.distill.bank import Bank
from kdsearch.distill.evaluate import predict
from kdsearch.distill.specialists import widened
from kdsearch.distill.teachers import TeacherStore, teacher_key
from kdsearch.errors import KdsearchError
from kdsearch.space import digest
from kdsearch.spec import Data, Spec
from kdsearch.types import Shape

#: The splits that a student is scored on: each trial on the first, members of the front on both.
SplitName = Literal["validation", "test"]
#: Of a device's free memory, what the images may fill: the rest is for models and activations.
DEVICE_SHARE = 0.25


@dataclass(frozen=True)
class Splits:
    """Images to train on (`train`), to score trials on (`validation`) and for the final score (`test`).

    `mean` and `std` (C,) are those of `train`, in units of [0, 1].
    """

    train: Images
    validation: Images
    test: Images | None
    mean: Tensor
    std: Tensor
    classes: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits of the training images."""
        pixels = self.train.images.contiguous().cpu().numpy()
        return hashlib.blake2b(pixels.data, digest_size=8).hexdigest()

    @property
    def shape(self) -> Shape:
        """Channels, height, width."""
        return self.train.shape

    def scored(self, split: SplitName) -> Images:
        """The images of a split, which must be there."""
        images = self.validation if split == "validation" else self.test
        assert images is not None
        return images

    def described(self) -> dict[str, Any]:
        """What a user of a student must know of its input and output."""
        return {
            "shape": list(self.shape),
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "classes": list(self.classes),
        }


def load_dataset(config: Data) -> Dataset:
    """The data set that a spec names, or its images of the classes that the spec names."""
    dataset = data.load({"source": config.part, **config.options})
    return dataset if config.classes is None else data.only_classes(dataset, tuple(config.classes))


def split(dataset: Dataset, validation: float, seed: int) -> Splits:
    """Hold out a share of the training images, the same for the same seed."""
    train, held_out = data.split_validation(dataset.train, validation, seed)
    return Splits(train, held_out, dataset.test, *data.statistics(train), dataset.classes)


class Resident:
    """Data and teachers, loaded when first asked for and kept on one device."""

    def __init__(self, store: TeacherStore, device: torch.device) -> None:
        self.store = store
        self.device = device
        self._splits: dict[str, Splits] = {}
        self._placed: dict[str, Splits] = {}
        self._teachers: dict[str, nn.Module] = {}
        self._digests: dict[str, str] = {}
        self._bank: Bank | None = None
        self._logits: dict[tuple[str, str], Tensor] = {}
        self._config: Spec | None = None
        self._keys: dict[str, str] = {}

    def _key(self, spec: Spec, teacher: str | None) -> str:
        """The key of a config's teacher, or of its data: a trial needs each of them a dozen times."""
        if self._config is not spec:
            self._config, self._keys = spec, {}
        name = teacher or ""
        if name not in self._keys:
            self._keys[name] = teacher_key(spec, teacher) if teacher else _data_key(spec)
        return self._keys[name]

    def splits(self, spec: Spec) -> Splits:
        """The split data of a config."""
        key = self._key(spec, None)
        if key not in self._splits:
            self._splits.clear()
            self._splits[key] = split(load_dataset(spec.data), spec.data.validation, spec.search.seed)
        return self._splits[key]

    def placed(self, spec: Spec) -> Splits:
        """The split data of a config, with what every trial learns from and is scored on on the device.

        It is copied there once. On the host stay test images, which few students are scored on, and all where
        they would take more than `DEVICE_SHARE` of the device's free memory.
        """
        splits = self.splits(spec)
        if self.device.type != "cuda":
            return splits
        key = self._key(spec, None)
        if key not in self._placed:
            self._placed.clear()
            # Workers that share a GPU share its memory.
            room = (
                DEVICE_SHARE * min(1, spec.compute.gpus_per_worker) * torch.cuda.mem_get_info(self.device)[0]
            )
            if splits.train.images.nbytes + splits.validation.images.nbytes <= room:
                train, validation = splits.train.to(self.device), splits.validation.to(self.device)
                splits = replace(splits, train=train, validation=validation)
            self._placed[key] = splits
        return self._placed[key]

    def teacher(self, spec: Spec, name: str) -> nn.Module:
        """A trained teacher of a config, frozen and in eval mode.

        Raises:
            KdsearchError: When it has not been trained yet.
        """
        key = self._key(spec, name)
        if key not in self._teachers:
            record = self.store.record(key)
            if record is None:
                raise KdsearchError(f"the teacher '{name}' is not in {self.store.folder}: train it first")
            splits = self.splits(spec)
            # Seeded, so that random numbers do not depend on whether the teacher was loaded before.
            known = spec.teachers[name].classes or splits.classes
            model = models.build(_plain(spec, name), splits.shape, len(known), seed=0)
            path = self.store.path(record)
            models.load_weights(model, path)
            self._digests[key] = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
            model = model.to(self.device).eval().requires_grad_(False)
            models.take_any_layout(model, last=models.lay_out(model, splits.shape))
            self._teachers[key] = model
        return self._teachers[key]

    def digest(self, spec: Spec, name: str) -> str:
        """Sixteen hex digits of a teacher's weights."""
        self.teacher(spec, name)
        return self._digests[self._key(spec, name)]

    def bank(self, spec: Spec) -> Bank | None:
        """Where teachers' outputs are kept; None where the spec disables it."""
        if not spec.bank.enabled:
            return None
        if self._bank is None:
            folder = self.store.folder.parent / "bank"
            # Workers that share a GPU share its memory.
            on_device = int(spec.bank.device_bytes * min(1, spec.compute.gpus_per_worker))
            self._bank = Bank(folder, spec.bank.bytes, self.device, on_device)
        return self._bank

    def teacher_logits(self, spec: Spec, name: str, split: SplitName) -> Tensor:
        """The logits of a trained teacher for a split, (N, classes) float32 on the CPU, computed once.

        NaN for images of classes that a specialist does not know.

        Raises:
            KdsearchError: When it has not been trained yet.
        """
        key = (self._key(spec, name), split)
        if key not in self._logits:
            splits = self.placed(spec)
            teacher, images = self.teacher(spec, name), splits.scored(split)
            logits, labels = predict(teacher, images, splits.mean, splits.std, device=self.device)
            if names := spec.teachers[name].classes:
                known = torch.tensor([splits.classes.index(c) for c in names])
                logits = widened(logits, known, len(splits.classes))
                logits[~torch.isin(labels, known)] = torch.nan
            self._logits[key] = logits
        return self._logits[key]


def _data_key(spec: Spec) -> str:
    return digest(spec.tree("data") | {"seed": spec.search.seed})


def _plain(spec: Spec, name: str) -> Mapping[str, Any]:
    model: Mapping[str, Any] = spec.tree()["teachers"][name]["model"]
    return model
