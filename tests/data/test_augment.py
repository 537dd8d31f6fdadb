import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsearch.data import Augment, Views

AUGMENTS = st.builds(Augment, crop=st.integers(0, 4), flip=st.booleans(), cutout=st.integers(0, 5))


def naive(augment: Augment, image: torch.Tensor, offset, flip, centre) -> torch.Tensor:
    """The view of one image, pixel by pixel: crop, then mirror, then cut out."""
    height, width = image.shape[1:]
    out = torch.zeros_like(image)
    top, left = (int(x) for x in offset)
    for y in range(height):
        for x in range(width):
            row, column = y + top - augment.crop, (width - 1 - x if flip else x) + left - augment.crop
            if 0 <= row < height and 0 <= column < width:
                out[:, y, x] = image[:, row, column]
    first_row, first_column = (int(c) - augment.cutout // 2 for c in centre)
    for y in range(first_row, first_row + augment.cutout):
        for x in range(first_column, first_column + augment.cutout):
            if 0 <= y < height and 0 <= x < width:
                out[:, y, x] = 0
    return out


@settings(max_examples=40, deadline=None)
@given(
    augment=AUGMENTS,
    n=st.integers(1, 5),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    channels_last=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_batch_of_views_is_what_a_loop_over_pixels_gives(augment, n, shape, channels_last, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(1, 256, (n, *shape), dtype=torch.uint8, generator=generator)
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    views = augment.draw(n, shape, generator)
    expected = [
        naive(augment, *each) for each in zip(images, views.offsets, views.flips, views.centres, strict=True)
    ]
    before = images.clone()
    assert torch.equal(augment.apply(images, views), torch.stack(expected))
    assert torch.equal(images, before)


def test_views_are_drawn_from_the_whole_range_and_no_further():
    views = Augment(crop=2, flip=True, cutout=3).draw(5000, (3, 6, 9), torch.Generator().manual_seed(0))
    assert views.offsets.unique().tolist() == [0, 1, 2, 3, 4]
    assert 0.47 < views.flips.float().mean() < 0.53
    assert views.centres[:, 0].unique().tolist() == list(range(6))
    assert views.centres[:, 1].unique().tolist() == list(range(9))


def test_the_same_generator_draws_the_same_views():
    def draw() -> Views:
        return Augment(2, True, 3).draw(9, (1, 5, 5), torch.Generator().manual_seed(1))

    first, second = draw(), draw()
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(second).values(), strict=True))


def test_no_augmentation_is_false_and_changes_nothing():
    assert not Augment() and Augment(crop=1) and Augment(flip=True) and Augment(cutout=1)
    images = torch.randint(0, 256, (4, 3, 5, 5), dtype=torch.uint8)
    views = Augment().draw(4, (3, 5, 5), torch.Generator())
    assert torch.equal(Augment().apply(images, views), images)
