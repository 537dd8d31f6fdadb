"""Parameters, MACs and size, against counts made by hand and real files."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save, save_model
from torch import nn

from kdsearch.measure.macs import macs
from kdsearch.measure.parameters import parameters
from kdsearch.measure.size_mb import size_mb
from kdsearch.models import save_weights

SHAPE = (3, 8, 8)


def convnet(device: str = "cpu") -> nn.Module:
    with torch.device(device):
        return nn.Sequential(
            nn.Conv2d(3, 5, 3, stride=2, padding=1),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            nn.Conv2d(5, 5, 3, padding=1, groups=5, bias=False),
            nn.Flatten(),
            nn.Linear(5 * 4 * 4, 10),
        )


class Tied(nn.Module):
    """Two names for one tensor, two dtypes, and a name that JSON could escape."""

    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Linear(7, 7)
        self.alias = nn.Linear(7, 7)
        self.alias.weight = self.zero.weight
        self.register_buffer("größe", torch.zeros(3, dtype=torch.float16))
        self.register_buffer("flags", torch.zeros(5, dtype=torch.bool))
        self.register_buffer("nothing", torch.zeros(0))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_parameters_are_counted_once(device):
    assert parameters(convnet(device), SHAPE) == (3 * 9 * 5 + 5) + 2 * 5 + 5 * 9 + (80 * 10 + 10)
    assert parameters(Tied(), SHAPE) == 7 * 7 + 2 * 7


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_macs_are_those_counted_by_hand(device):
    by_hand = (4 * 4 * 5) * (3 * 9) + (4 * 4 * 5) * 9 + 80 * 10
    assert macs(convnet(device), SHAPE) == by_hand


def test_macs_of_attention_are_seen_through_the_fused_path():
    tokens, width, wide = 8, 16, 32
    layer = nn.TransformerEncoderLayer(width, 2, wide, batch_first=True)
    model = nn.Sequential(nn.Flatten(0, 1), layer)
    projections = 4 * tokens * width * width + 2 * tokens * width * wide
    attention = 2 * tokens * tokens * width
    assert macs(model, (1, tokens, width)) == projections + attention
    assert torch.backends.mha.get_fastpath_enabled()


def test_counting_leaves_the_model_as_it_was():
    model = convnet().train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    macs(model, SHAPE)
    assert model.training and model[0].training and not model[1].training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("width", [1, 3, 17, 200])
def test_size_is_that_of_the_real_file(width):
    model = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Linear(width, 10))
    assert size_mb(model, SHAPE) * 1e6 == pytest.approx(len(save(model.state_dict())), abs=1e-3)
    assert size_mb(model.to("meta"), SHAPE) == size_mb(model, SHAPE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_size_follows_the_dtype(dtype):
    model = convnet().to(dtype)
    assert size_mb(model, SHAPE) * 1e6 == pytest.approx(len(save(model.state_dict())), abs=1e-3)


def test_size_counts_a_shared_tensor_once_as_the_file_does(tmp_path):
    written = tmp_path / "tied.safetensors"
    save_weights(Tied(), written)
    assert size_mb(Tied(), SHAPE) * 1e6 == pytest.approx(written.stat().st_size, abs=1e-3)
    save_model(Tied(), written)
    assert size_mb(Tied(), SHAPE) * 1e6 == pytest.approx(written.stat().st_size, abs=1e-3)
    with torch.device("meta"):
        assert size_mb(Tied(), SHAPE) == size_mb(Tied(), SHAPE)


def test_size_of_every_dtype_together_is_that_of_the_real_file():
    dtypes = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.float16, torch.bfloat16, torch.int32]
    dtypes += [torch.float32, torch.float64, torch.int64, torch.complex64, torch.uint16, torch.uint32]
    model = nn.Module()
    for place, dtype in enumerate([*dtypes, torch.uint64]):
        model.register_buffer(f"b{place}", torch.zeros(9 + place, dtype=dtype))
    assert size_mb(model, SHAPE) * 1e6 == pytest.approx(len(save(model.state_dict())), abs=1e-3)
