from dataclasses import replace

import pytest
import torch

from kdsearch.data import Augment, Batch, Batches, Mix, Mixed, normalise, statistics

AUGMENT = Augment(crop=2, flip=True, cutout=3)
MIXES = [None, Mix(mixup=0.4), Mix(cutmix=1.0), Mix(mixup=0.2, cutmix=1.0)]
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


@pytest.fixture
def batches(make_images):
    def make(n: int = 50, **options) -> Batches:
        images = make_images(n)
        mean, std = statistics(images)
        defaults = {"batch_size": 16, "augment": AUGMENT, "mean": mean, "std": std, "seed": 0}
        return Batches(images, **defaults | options)

    return make


def joined(parts: list[Batch]) -> Batch:
    whole = Batch(*(torch.cat([getattr(p, name) for p in parts]) for name in ("images", "labels", "indices")))
    if parts[0].mixed is None:
        return whole
    mixed = Mixed(*(torch.cat([getattr(p.mixed, name) for p in parts]) for name in ("labels", "shares")))
    return replace(whole, mixed=mixed)


def tensors(batch: Batch) -> list[torch.Tensor]:
    mixed = [batch.mixed.labels, batch.mixed.shares] if batch.mixed else []
    return [batch.images.cpu(), batch.labels.cpu(), batch.indices.cpu(), *(part.cpu() for part in mixed)]


def same(a: Batch, b: Batch) -> bool:
    return all(map(torch.equal, tensors(a), tensors(b)))


@pytest.mark.parametrize("augment", [AUGMENT, Augment()])
@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("device", DEVICES)
def test_an_epoch_can_be_asked_for_again_and_in_any_order(batches, augment, mix, device):
    one, other = batches(augment=augment, mix=mix, device=device), batches(augment=augment, mix=mix)
    third_first = joined(list(one.epoch(3)))
    list(one.epoch(0))
    assert same(third_first, joined(list(one.epoch(3))))
    assert third_first.indices.tolist() == joined(list(other.epoch(3))).indices.tolist()
    torch.testing.assert_close(third_first.images.cpu(), joined(list(other.epoch(3))).images)


def test_epochs_and_seeds_differ(batches):
    first = joined(list(batches().epoch(0)))
    assert not same(first, joined(list(batches().epoch(1))))
    assert not same(first, joined(list(batches(seed=1).epoch(0))))


@pytest.mark.parametrize("augment", [AUGMENT, Augment()])
@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("world_size", [2, 4])
def test_the_workers_share_the_batches_that_one_worker_would_see(batches, augment, mix, world_size):
    alone = list(batches(augment=augment, mix=mix).epoch(2))
    workers = [
        list(batches(augment=augment, mix=mix, rank=rank, world_size=world_size).epoch(2))
        for rank in range(world_size)
    ]
    assert [len(worker) for worker in workers] == [len(alone)] * world_size
    for whole, *shares in zip(alone, *workers, strict=True):
        assert {len(share.labels) for share in shares} == {16 // world_size}
        assert same(whole, joined(shares))


@pytest.mark.parametrize("mix", MIXES)
def test_a_view_of_an_image_does_not_depend_on_the_batch_size(batches, mix):
    small, large = (joined(list(batches(batch_size=size, mix=mix).epoch(1))) for size in (5, 25))
    by_image = [batch.images[batch.indices.argsort()] for batch in (small, large)]
    assert torch.equal(*by_image)


def test_an_epoch_shows_every_image_once_with_its_label(batches, make_images):
    epoch = joined(list(batches(batch_size=10).epoch(0)))
    assert sorted(epoch.indices.tolist()) == list(range(50))
    assert torch.equal(epoch.labels, make_images(50).labels[epoch.indices])


def test_a_batch_is_the_normalised_views_of_its_images(batches, make_images):
    images = make_images(50)
    mean, std = statistics(images)
    for batch in batches(augment=Augment()).epoch(0):
        torch.testing.assert_close(batch.images, normalise(images.images[batch.indices], mean, std))
    # Where everything is cut out, only black is left, which normalisation moves to -mean / std.
    black = joined(list(batches(augment=Augment(cutout=99)).epoch(0))).images
    torch.testing.assert_close(black, (-mean / std).view(1, -1, 1, 1).expand_as(black))


@pytest.mark.parametrize(("n", "length", "size"), [(50, 3, 16), (16, 1, 16), (7, 1, 7)])
def test_what_is_left_over_is_dropped_unless_it_is_all_there_is(batches, n, length, size):
    loader = batches(n)
    sizes = [len(batch.labels) for batch in loader.epoch(0)]
    assert len(loader) == length and sizes == [size] * length


@pytest.mark.parametrize("augment", [AUGMENT, Augment()])
@pytest.mark.parametrize("mix", MIXES)
def test_batches_are_laid_out_as_asked(batches, augment, mix):
    plain, last = (
        joined(list(batches(augment=augment, mix=mix, batch_size=50, channels_last=flag).epoch(0)))
        for flag in (False, True)
    )
    (batch,) = batches(augment=augment, mix=mix, batch_size=50, channels_last=True).epoch(0)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert same(plain, last)


@pytest.mark.parametrize("mix", MIXES)
def test_orders_and_views_come_again_when_that_is_asked_for(batches, mix):
    ever, again = batches(mix=mix), batches(mix=mix, views=2)
    for epoch in range(5):
        assert same(joined(list(again.epoch(epoch))), joined(list(ever.epoch(epoch % 2))))


def test_batches_say_where_they_stand_in_an_epoch(batches):
    for rank in range(2):
        loop = batches(rank=rank, world_size=2)
        parts = list(loop.epoch(3))
        assert [(part.view, part.start) for part in parts] == [(3, 8 * index) for index in range(len(parts))]
        assert sum(len(part.labels) for part in parts) == loop.rows == 24


def test_images_of_one_view_can_be_seen_in_order(batches):
    loop = batches(augment=Augment())
    assert [(part.view, part.start) for part in loop.epoch(2)] == [(0, None)] * 3
    parts = list(loop.unaugmented())
    assert {len(part.labels) for part in parts} == {16}
    seen = {int(i): image for part in parts for i, image in zip(part.indices, part.images, strict=True)}
    assert sorted(seen) == list(range(50))
    for part in loop.epoch(0):
        assert part.host_indices.tolist() == part.indices.tolist()
        for index, image in zip(part.indices, part.images, strict=True):
            assert torch.equal(seen[int(index)], image)
