"""Features of any two shapes meet at one."""

import pytest
import torch
from torch import nn

from kdsearch.distill.connect import (
    Embedding,
    Regressor,
    SafeBatchNorm,
    as_map,
    as_vector,
    map_shape,
    one_size,
    resized,
)
from kdsearch.errors import InputError

SHAPES = {
    "map": (4, 8, 6),
    "small map": (5, 3, 3),
    "tokens": (16, 7),
    "tokens with a class token": (17, 7),
    "tokens in no square": (7, 6),
    "vector": (9,),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_shape_of_a_map_is_known_without_the_feature(shape):
    feature = torch.randn(2, *shape)
    assert as_map(feature).shape == (2, *map_shape(shape))
    assert as_vector(feature).shape == (2, map_shape(shape)[0])


def test_tokens_fill_a_square_row_by_row():
    tokens = torch.arange(5.0).view(1, 5, 1)
    assert as_map(tokens).tolist() == [[[[1.0, 2.0], [3.0, 4.0]]]]
    assert as_map(tokens[:, 1:]).tolist() == [[[[1.0, 2.0], [3.0, 4.0]]]]
    assert as_map(torch.arange(3.0).view(1, 3, 1)).tolist() == [[[[1.0]]]]


def test_a_shape_that_is_none_of_these_is_refused():
    with pytest.raises(InputError, match="can't be matched"):
        map_shape((2, 3, 4, 5))


def test_each_axis_meets_at_the_smaller():
    student, teacher = one_size(torch.randn(2, 3, 8, 2), torch.randn(2, 5, 4, 6))
    assert student.shape[2:] == teacher.shape[2:] == (4, 2)


def test_a_smaller_map_is_averaged_and_a_larger_one_interpolated():
    feature = torch.arange(4.0).view(1, 1, 2, 2)
    assert resized(feature, (1, 1)).item() == 1.5
    assert resized(feature, (2, 4))[0, 0, 0].tolist() == [0.0, 0.25, 0.75, 1.0]


@pytest.mark.parametrize("kind", ["conv1x1", "conv3x3", "linear"])
@pytest.mark.parametrize("resolution", ["smaller", "teacher"])
@pytest.mark.parametrize("near", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("far", SHAPES.values(), ids=SHAPES)
def test_a_regressor_joins_any_two_shapes(near, far, resolution, kind):
    regressor = Regressor(near, far, kind=kind, resolution=resolution)
    student, teacher = regressor(torch.randn(2, *near), torch.randn(2, *far))
    assert student.shape == teacher.shape
    assert student.shape[1] == map_shape(far)[0]


def test_a_regressor_joins_two_vectors_by_a_linear_layer():
    regressor, vectors = Regressor((4,), (5,)), torch.randn(3, 4)
    student, _ = regressor(vectors, torch.randn(3, 5))
    linear = vectors @ regressor.project.weight[:, :, 0, 0].T + regressor.project.bias
    torch.testing.assert_close(student[:, :, 0, 0], linear)


def test_an_embedding_is_of_length_one():
    embedded = Embedding((4, 8, 6), 3)(torch.randn(2, 4, 8, 6))
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(2))


def test_a_norm_is_batch_normalisation_but_for_a_single_value():
    norm, plain = SafeBatchNorm(3), nn.BatchNorm2d(3)
    batch, single = torch.randn(4, 3, 2, 2), torch.randn(1, 3, 1, 1)
    torch.testing.assert_close(norm(batch), plain(batch))
    torch.testing.assert_close(norm(single), plain.eval()(single))
