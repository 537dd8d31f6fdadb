"""Batches cut from images held whole in memory, the same in every trial."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat, starmap

import torch
from torch import Tensor

from kdsearch.data.augment import Augment, Views
from kdsearch.data.images import Images
from kdsearch.data.mix import Mix, Mixed, Mixes
from kdsearch.data.normalise import normalise
from kdsearch.data.transfer import to_device

#: Images that are never augmented are kept normalised as float32 up to this size.
FLOAT_BYTES = 512 << 20


@dataclass(frozen=True)
class Batch:
    """Normalised images (b, C, H, W) float32, labels (b,) int64, and their indices (b,) in the data set.

    `view` is the number of the view in which they are seen. `start` is the place of the first among those
    that the worker sees in an epoch; None where images have one view only, and their indices say it all.
    `host_indices` are then the same indices on the CPU, which need not be waited for there.
    Where images are `mixed`, labels and indices are those of the image that has the larger share.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    view: int = 0
    start: int | None = None
    mixed: Mixed | None = None
    host_indices: Tensor | None = None


@dataclass(frozen=True)
class _Plan:
    """Which images are in a batch, on the device and on the CPU, and their views; None for as they are."""

    chosen: Tensor
    host_indices: Tensor
    views: Views | None
    mixes: Mixes | None
    partners: Views | None


class Batches:
    """The training batches of one worker.

    The order of an epoch depends on `seed` and the number of the view alone; the view of an image, and what
    is mixed into it, on these and on its index. None of them depends on the batch size or on how many workers
    share a batch: a teacher's outputs for an image in a view can be stored and read by every trial. Workers
    take contiguous slices of each global batch. Images left over at the end of an epoch are dropped, unless
    they are its only batch.

    Args:
        images: Images to learn from.
        batch_size: Images per global batch, over all workers.
        augment: The views to draw.
        mix: How pairs of views are mixed; None for not at all.
        mean: Of each channel, (C,), in units of [0, 1]; see `statistics`.
        std: Standard deviation of each channel, (C,), in the same units.
        seed: Of the order and the views.
        views: After how many epochs orders and views repeat; None for never.
        rank: Which worker this is.
        world_size: Number of workers.
        device: Where the images are kept, augmented and normalised.
        channels_last: Whether batches are laid out in memory with the channels last.
    """

    def __init__(
        self,
        images: Images,
        *,
        batch_size: int,
        augment: Augment,
        mean: Tensor,
        std: Tensor,
        seed: int,
        mix: Mix | None = None,
        views: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
        channels_last: bool = False,
    ) -> None:
        self._data = images.to(device)
        self._batch_size = min(batch_size, len(images))
        self._augment, self._mix = augment, mix or Mix()
        self._mean, self._std = mean.to(device), std.to(device)
        self.seed, self._views = seed, views
        self._part = slice(rank * self._batch_size // world_size, (rank + 1) * self._batch_size // world_size)
        self._device = torch.device(device)
        self._channels_last = channels_last
        self._ready: Tensor | None = None
        small = 4 * images.images.numel() <= FLOAT_BYTES
        if not augment and small and self._device.type == "cpu":
            ready = self._normalised(self._data.images)
            self._ready = ready.permute(0, 2, 3, 1) if channels_last else ready

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._data) // self._batch_size

    @property
    def augmented(self) -> bool:
        """Whether an image looks different from one view to the next."""
        return bool(self._augment or self._mix)

    @property
    def num_outcomes(self) -> int:
        """In how many ways an image can be augmented; 0 for too many."""
        return 0 if self._mix else self._augment.num_outcomes

    @property
    def rows(self) -> int:
        """How many images this worker sees in an epoch."""
        return len(self) * (self._part.stop - self._part.start)

    @property
    def num_images(self) -> int:
        """How many images there are."""
        return len(self._data)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch; its number says in which view every image is seen."""
        view = epoch if self._views is None else epoch % self._views
        start, augmented = 0, self.augmented
        for plan in self._plan(view):
            chosen, labels = plan.chosen, self._data.labels.index_select(0, plan.chosen)
            images = self._seen(chosen, plan.views)
            if not augmented:
                yield Batch(images, labels, chosen, host_indices=plan.host_indices)
            elif (mixes := plan.mixes) is None:
                yield Batch(images, labels, chosen, view, start)
            else:
                images = self._mix.apply(images, self._seen(mixes.partners, plan.partners), mixes)
                mixed = Mixed(self._data.labels.index_select(0, mixes.partners), mixes.shares)
                yield Batch(images, labels, chosen, view, start, mixed)
            start += len(chosen)

    def unaugmented(self) -> Iterator[Batch]:
        """Every image unaugmented, in order, in equal batches; the last overlaps the one before."""
        size = self._part.stop - self._part.start
        for start in range(0, len(self._data), size):
            first = max(0, min(start, len(self._data) - size))
            chosen = torch.arange(first, first + size, device=self._device)
            yield Batch(self._seen(chosen, None), self._data.labels[chosen], chosen)

    def keys(self, view: int) -> Tensor:
        """What this worker sees in an epoch, in order, as numbers (rows,): image · num_outcomes + outcome."""
        mine = self._mine(view).flatten()
        return mine * self.num_outcomes + self._augment.number(self._drawn(view))[mine]

    def images_for(self, keys: Tensor) -> Tensor:
        """The normalised images (n, C, H, W) float32 that these keys (n,) stand for."""
        views = self._augment.view(keys % self.num_outcomes)
        on_device = (to_device(drawn, self._device) for drawn in vars(views).values())
        return self._seen(to_device(keys // self.num_outcomes, self._device), Views(*on_device))

    def _plan(self, view: int) -> list[_Plan]:
        """How every batch of an epoch is made, on the device.

        Drawn on the CPU in one go, and copied in one go, so that no batch waits for a GPU.
        """
        mine = self._mine(view)

        def batched(drawn: Iterable[Tensor]) -> Iterator[tuple[Tensor, ...]]:
            return zip(*(to_device(each[mine], self._device).unbind() for each in drawn), strict=True)

        views: Iterable[Views | None] = repeat(None)
        mixes: Iterable[Mixes | None] = repeat(None)
        partners: Iterable[Views | None] = repeat(None)
        seen: Sequence[Tensor] = ()
        if self._augment:
            seen = list(vars(self._drawn(view)).values())
            views = starmap(Views, batched(seen))
        if self._mix:
            mixed = self._mix.draw(len(self._data), self._data.shape, self._seed("mixes", view))
            mixes = starmap(Mixes, batched(vars(mixed).values()))
            if seen:
                partners = starmap(Views, batched(each[mixed.partners] for each in seen))
        indices = to_device(mine, self._device).unbind()
        return list(map(_Plan, indices, mine.unbind(), views, mixes, partners))

    def _mine(self, view: int) -> Tensor:
        """The indices of this worker's images in every batch of an epoch, (batches, images)."""
        order = torch.randperm(len(self._data), generator=self._generator("order", view))
        return order[: len(self) * self._batch_size].view(len(self), -1)[:, self._part].contiguous()

    def _drawn(self, view: int) -> Views:
        """The views of all images."""
        return self._augment.draw(len(self._data), self._data.shape, self._generator("views", view))

    def _generator(self, purpose: str, view: int) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed(purpose, view))

    def _seed(self, purpose: str, view: int) -> int:
        digest = hashlib.blake2b(f"{purpose} {self.seed} {view}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1

    def _seen(self, chosen: Tensor, views: Views | None) -> Tensor:
        if self._ready is not None:
            selected = self._ready.index_select(0, chosen)
            return selected.permute(0, 3, 1, 2) if self._channels_last else selected
        images = self._data.images.index_select(0, chosen)
        return self._normalised(images if views is None else self._augment.apply(images, views))

    def _normalised(self, images: Tensor) -> Tensor:
        return normalise(images, self._mean, self._std, channels_last=self._channels_last)


def evaluation_batches(
    images: Images,
    mean: Tensor,
    std: Tensor,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
    channels_last: bool = False,
) -> Iterator[Batch]:
    """Every image once, in order and unaugmented; the last batch may be smaller."""
    mean, std = mean.to(device), std.to(device)
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size].to(device)
        indices = torch.arange(start, start + len(part), device=device)
        yield Batch(normalise(part.images, mean, std, channels_last=channels_last), part.labels, indices)
