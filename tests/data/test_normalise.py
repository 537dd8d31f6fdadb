import torch

from kdsearch.data import Images, evaluation_batches, normalise, statistics


def test_statistics_are_those_of_the_pixels_in_units_of_one(make_images):
    images = make_images(70)
    mean, std = statistics(images, chunk=16)
    pixels = images.images.double() / 255
    torch.testing.assert_close(mean, pixels.mean((0, 2, 3)).float())
    torch.testing.assert_close(std, pixels.std((0, 2, 3), correction=0).float())


def test_a_constant_channel_can_be_normalised():
    images = Images(torch.full((4, 1, 3, 3), 7, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    mean, std = statistics(images)
    assert std.tolist() == [1.0]
    assert normalise(images.images, mean, std).abs().max() < 1e-6


def test_normalised_images_have_zero_mean_and_unit_variance(make_images):
    images = make_images(70)
    mean, std = statistics(images)
    for channels_last in (False, True):
        x = normalise(images.images, mean, std, channels_last=channels_last)
        torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(x.std((0, 2, 3), correction=0), torch.ones(3))
        assert x.is_contiguous(memory_format=torch.channels_last) is channels_last


def test_evaluation_sees_every_image_once_and_in_order(make_images):
    images = make_images(23)
    mean, std = statistics(images)
    batches = list(evaluation_batches(images, mean, std, batch_size=10))
    assert [len(batch.labels) for batch in batches] == [10, 10, 3]
    assert torch.equal(torch.cat([batch.indices for batch in batches]), torch.arange(23))
    assert torch.equal(torch.cat([batch.labels for batch in batches]), images.labels)
    seen = torch.cat([batch.images for batch in batches])
    torch.testing.assert_close(seen, normalise(images.images, mean, std))
