import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsearch.data import Images, split_validation
from kdsearch.errors import InputError


def numbered(labels: list[int]) -> Images:
    """Images whose one pixel is their index."""
    return Images(torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1), torch.tensor(labels))


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=20, max_size=200),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31),
)
def test_every_image_is_on_one_side_and_every_class_keeps_its_share(labels, fraction, seed):
    images = numbered(labels)
    train, validation = split_validation(images, fraction, seed)
    both = torch.cat([train.images, validation.images]).flatten().tolist()
    assert sorted(both) == list(range(len(labels)))
    assert train.images.flatten().tolist() == sorted(train.images.flatten().tolist())
    for label in set(labels):
        n = labels.count(label)
        held = int((validation.labels == label).sum())
        assert abs(held - n * fraction) <= 1
        assert held == 0 if n == 1 else 1 <= held <= n - 1
    assert torch.equal(images.labels[validation.images.flatten().long()], validation.labels)


def test_the_seed_alone_decides(make_images):
    images = make_images(200)
    first, again, other = (split_validation(images, 0.2, seed)[1] for seed in (3, 3, 4))
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, other.images)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5])
def test_a_fraction_that_leaves_a_side_empty_is_refused(make_images, fraction):
    with pytest.raises(InputError, match=f"between 0 and 1; it is {fraction}"):
        split_validation(make_images(), fraction, 0)


def test_one_image_a_class_is_too_few(make_images):
    with pytest.raises(InputError, match="5 images of 5 classes are too few"):
        split_validation(make_images(5), 0.2, 0)
