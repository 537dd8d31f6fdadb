"""Corruptions against NumPy, SciPy and Pillow, and the accuracy under them against a plain loop."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest, norm

from kdsearch.errors import InputError
from kdsearch.measure import Figure, measure_trained
from kdsearch.measure._corruptions import CORRUPTIONS, SEVERITIES, blur, contrast, jpeg, noise
from kdsearch.measure.corruption_accuracy import corruption_accuracy
from kdsearch.registry import find

#: Of CIFAR-10-C and of ImageNet-C.
BLUR = {16: [0.4, 0.6, 0.7, 0.8, 1.0], 64: [1, 2, 3, 4, 6]}
CONTRAST = {16: [0.75, 0.5, 0.4, 0.3, 0.15], 64: [0.4, 0.3, 0.2, 0.1, 0.05]}
NOISE = {16: [0.04, 0.06, 0.08, 0.09, 0.10], 64: [0.08, 0.12, 0.18, 0.26, 0.38]}
JPEG = {16: [80, 65, 58, 50, 40], 64: [25, 18, 15, 10, 7]}


def drawn(side=16, channels=3, n=4):
    """Smooth random images, as photographs are rather than noise."""
    waves = np.random.default_rng(side).normal(size=(n, channels, side, side))
    smooth = gaussian_filter(waves, (0, 0, 2, 2), mode="wrap")
    return torch.from_numpy(np.clip(128 + 300 * smooth, 0, 255).astype(np.uint8))


def seeded():
    return torch.Generator().manual_seed(0)


def close(found, expected):
    """Equal but for values that arithmetic in another precision cuts off elsewhere."""
    apart = np.abs(found.numpy().astype(int) - expected.astype(int))
    return apart.max() <= 1 and (apart > 0).mean() < 0.01


@pytest.mark.parametrize("side", [16, 64])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_blur_is_scipys_gaussian_filter(side, severity):
    images = drawn(side)
    sigma = BLUR[side][severity - 1]
    filtered = gaussian_filter(images.numpy() / 255.0, (0, 0, sigma, sigma), mode="nearest", truncate=4.0)
    assert close(blur(images, severity, seeded()), (np.clip(filtered, 0, 1) * 255).astype(np.uint8))


@pytest.mark.parametrize("side", [16, 64])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_is_drawn_towards_the_mean(side, severity):
    images = drawn(side)
    values = images.numpy() / 255.0
    means = values.mean((2, 3), keepdims=True)
    expected = (np.clip((values - means) * CONTRAST[side][severity - 1] + means, 0, 1) * 255).astype(np.uint8)
    assert close(contrast(images, severity, seeded()), expected)


@pytest.mark.parametrize("side", [16, 64])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_is_normal_of_the_published_strength(side, severity):
    grey = torch.full((64, 1, side, side), 128, dtype=torch.uint8)
    found = (noise(grey, severity, seeded()).numpy().astype(float) + 0.5 - 128) / 255
    scale = NOISE[side][severity - 1]
    # Away from the ends, where values are cut off, the share below each level is that of the distribution.
    for level in (-0.2, -0.1, 0.0, 0.1, 0.2):
        assert np.mean(found < level) == pytest.approx(norm.cdf(level / scale), abs=0.015)
    if scale <= 0.1:
        assert found.std() == pytest.approx(scale, rel=0.05)
        assert kstest(found.ravel()[:2000] / found.std(), "norm").statistic < 0.05


@pytest.mark.parametrize("side", [16, 64])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_jpeg_is_pillows(side, severity):
    images = drawn(side, n=2)
    found = jpeg(images, severity, seeded())
    for image, stored in zip(images.numpy(), found.numpy(), strict=True):
        file = io.BytesIO()
        picture = Image.fromarray(image.transpose(1, 2, 0))
        picture.save(file, "JPEG", quality=JPEG[side][severity - 1])
        assert np.array_equal(stored.transpose(1, 2, 0), np.asarray(Image.open(file)))


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_corruption_keeps_shape_and_kind_for_any_channels(name, channels):
    images = drawn(channels=channels)
    before = images.clone()
    found = CORRUPTIONS[name](images, 3, seeded())
    assert found.shape == images.shape and found.dtype == torch.uint8
    assert torch.equal(images, before) and not torch.equal(found, images)


def test_worse_severities_change_more():
    images = drawn(n=16)
    for name, corrupt in CORRUPTIONS.items():
        changed = [(corrupt(images, s, seeded()).float() - images.float()).abs().mean() for s in SEVERITIES]
        assert changed == sorted(changed), name


def predict(images):
    """Classes by brightness and detail, so that every corruption matters to some image."""
    values = images.float() / 255
    detail = (values[..., 1:] - values[..., :-1]).abs().mean((1, 2, 3))
    return torch.stack([values.mean((1, 2, 3)) - 0.5, 10 * (detail - 0.03), values.std((1, 2, 3)) - 0.1], 1)


def test_it_is_the_mean_over_corruptions_and_severities():
    images = drawn(n=40)
    labels = predict(images).argmax(1)
    alone = {
        (name, severity): corruption_accuracy(
            predict, images, labels, corruptions=(name,), severities=(severity,)
        )
        for name in CORRUPTIONS
        for severity in SEVERITIES
    }
    assert corruption_accuracy(predict, images, labels) == pytest.approx(np.mean(list(alone.values())))
    by_hand = predict(contrast(images, 5, seeded())).argmax(1)
    assert alone["contrast", 5] == pytest.approx(np.mean((by_hand == labels).numpy()))
    assert len(set(alone.values())) > 4


def test_it_is_the_same_again_and_leaves_the_random_state_alone():
    images, state = drawn(n=40), torch.get_rng_state()
    labels = predict(images).argmax(1)
    first = corruption_accuracy(predict, images, labels, corruptions=("noise",))
    torch.manual_seed(5)
    assert corruption_accuracy(predict, images, labels, corruptions=("noise",)) == first
    torch.set_rng_state(state)


def test_a_figure_may_name_the_corruptions_that_count():
    images = drawn(n=8)
    asked = Figure("dim", find("objective", "corruption_accuracy"), {"corruptions": ["contrast"]})
    found = measure_trained(predict, images, torch.zeros(8).long(), [asked])
    assert found == {
        "dim": corruption_accuracy(predict, images, torch.zeros(8).long(), corruptions=("contrast",))
    }


def test_nothing_to_take_is_refused():
    with pytest.raises(InputError, match="at least one corruption"):
        corruption_accuracy(predict, drawn(), torch.zeros(4).long(), severities=())
