"""Mixup and cutmix, against NumPy: one pair, one pixel at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from kdsearch.data import Augment, Batches, Mix, statistics

SHAPE = (3, 6, 9)


def naive(mix: Mix, first: np.ndarray, second: np.ndarray, share: float, cut: bool, box, inside: bool):
    """The mix of two images (C, H, W), in float64."""
    if not cut:
        return share * first + (1 - share) * second
    top, bottom, left, right = box
    out = np.empty_like(first)
    for row in range(first.shape[1]):
        for column in range(first.shape[2]):
            boxed = top <= row < bottom and left <= column < right
            out[:, row, column] = (first if boxed == inside else second)[:, row, column]
    return out


@pytest.mark.parametrize("mix", [Mix(mixup=0.3), Mix(cutmix=1.0), Mix(mixup=1.0, cutmix=0.5)])
def test_a_batch_of_mixes_is_what_a_loop_over_pixels_gives(mix):
    images, others = torch.randn(2, 40, *SHAPE, generator=torch.Generator().manual_seed(0))
    mixes = mix.draw(40, SHAPE, seed=3)
    assert (mixes.shares < 1).sum() > 20
    made = mix.apply(images, others, mixes)
    for i in range(40):
        drawn = mixes.shares[i].item(), mixes.cut[i].item(), mixes.boxes[i].tolist(), mixes.inside[i].item()
        expected = naive(mix, images[i].double().numpy(), others[i].double().numpy(), *drawn)
        np.testing.assert_allclose(made[i], expected, rtol=1e-5, atol=1e-6)


def test_a_share_of_a_cut_is_what_is_seen_of_an_image():
    mix = Mix(cutmix=1.0)
    mixes = mix.draw(500, SHAPE, seed=0)
    shown = mix.apply(torch.ones(500, 1, *SHAPE[1:]), torch.zeros(500, 1, *SHAPE[1:]), mixes)
    torch.testing.assert_close(shown.mean((1, 2, 3)), mixes.shares)
    assert mixes.inside.any() and not mixes.inside.all()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_larger_share_of_two_comes_from_a_beta_distribution(alpha):
    shares = Mix(mixup=alpha).draw(20_000, SHAPE, seed=1).shares.double().numpy()
    edges = np.linspace(0.5, 1.0, 11)
    expected = 20_000 * 2 * np.diff(stats.beta.cdf(edges, alpha, alpha))
    assert stats.chisquare(np.histogram(shares, edges)[0], expected).pvalue > 0.01


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_boxes_are_cut_as_the_paper_cuts_them(alpha):
    """The published code, image by image; who of a pair comes first has no effect on what is left of both."""
    rng, (height, width) = np.random.default_rng(5), (16, 16)
    expected = []
    for _ in range(20_000):
        ratio = np.sqrt(1 - rng.beta(alpha, alpha))
        rows, columns = int(height * ratio), int(width * ratio)
        y, x = rng.integers(height), rng.integers(width)
        top, bottom = np.clip([y - rows // 2, y + rows // 2], 0, height)
        left, right = np.clip([x - columns // 2, x + columns // 2], 0, width)
        expected.append(1 - (bottom - top) * (right - left) / (height * width))
    mixes = Mix(cutmix=alpha).draw(20_000, (3, height, width), seed=2)
    first = torch.where(mixes.inside, 1 - mixes.shares, mixes.shares)
    pixels = [np.rint(np.asarray(share, dtype=np.float64) * height * width) for share in (first, expected)]
    assert stats.ks_2samp(*pixels).pvalue > 0.01


def test_of_both_each_image_is_mixed_in_one_way_at_even_odds():
    assert 0.48 < Mix(mixup=1.0, cutmix=1.0).draw(10_000, SHAPE, seed=0).cut.float().mean() < 0.52
    assert not Mix(mixup=1.0).draw(100, SHAPE, seed=0).cut.any()
    assert Mix(cutmix=1.0).draw(100, SHAPE, seed=0).cut.all()


@pytest.mark.parametrize("augment", [Augment(), Augment(crop=2, flip=True, cutout=2)])
@pytest.mark.parametrize("mix", [Mix(mixup=0.4), Mix(cutmix=1.0)])
def test_an_epoch_mixes_the_views_that_it_would_show_alone(make_images, augment, mix):
    images = make_images(30, classes=30)  # so that a label says which image it is
    mean, std = statistics(images)
    given = {"batch_size": 10, "augment": augment, "mean": mean, "std": std, "seed": 4}
    alone = {
        int(label): image
        for batch in Batches(images, **given).epoch(1)
        for label, image in zip(batch.labels, batch.images, strict=True)
    }
    partners = []
    for batch in Batches(images, **given, mix=mix).epoch(1):
        assert torch.equal(batch.labels, batch.indices)
        for i, image in enumerate(batch.images):
            own, other = alone[int(batch.labels[i])], alone[int(batch.mixed.labels[i])]
            share = batch.mixed.shares[i]
            partners.append(int(batch.mixed.labels[i]))
            if mix.mixup:
                torch.testing.assert_close(image, share * own + (1 - share) * other)
            else:
                assert torch.equal(torch.where(image == own, own, other), image)
                kept = (image == own).float().mean() - ((own == other) & (image == own)).float().mean()
                assert kept <= share + 1e-6
    assert sorted(partners) == list(range(30))


def test_epochs_and_seeds_mix_differently():
    mix = Mix(mixup=1.0)
    one, again, other = (mix.draw(20, SHAPE, seed) for seed in (0, 0, 1))
    assert torch.equal(one.shares, again.shares) and torch.equal(one.partners, again.partners)
    assert not torch.equal(one.shares, other.shares) and not torch.equal(one.partners, other.partners)


def test_no_mixing_is_false():
    assert not Mix() and Mix(mixup=0.1) and Mix(cutmix=0.1)
