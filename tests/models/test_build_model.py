"""From a config to a model, and the check before anything is trained."""

import pytest
import torch

from kdsearch.errors import InputError
from kdsearch.models import build, check_model

SHAPE = (3, 8, 8)

OWN = """
from torch import nn

class Tiny(nn.Module):
    def __init__(self, num_classes, in_channels, *, width=4):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3)
        self.classifier = nn.Linear(width, num_classes)
    def forward(self, x):
        return self.classifier(self.conv(x).mean((2, 3)))

class ReadsValues(Tiny):
    def forward(self, x):
        return super().forward(x if x.sum().item() < 1e9 else -x)

def lazy(shape, classes, *, width=4):
    return nn.Sequential(nn.LazyConv2d(width, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(classes))

def headless(shape, classes):
    return nn.Flatten()

def no_module(shape, classes):
    return shape

def breaks(shape, classes):
    return nn.Linear(3, classes)

def refuses(shape, classes, *, width=4):
    raise ValueError(f"width {width} is odd")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_models"


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("name", ["mlp", "convnet", "resnet", "wrn"])
def test_the_weights_depend_on_the_seed_alone(name):
    torch.manual_seed(1)
    first = build({"name": name}, SHAPE, 10, seed=7)
    torch.manual_seed(2)
    assert equal(first, build({"name": name}, SHAPE, 10, seed=7))
    assert not equal(first, build({"name": name}, SHAPE, 10, seed=8))


def test_a_seed_leaves_the_global_random_state_as_it_was():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build({"name": "mlp"}, SHAPE, 10, seed=7)
    assert torch.equal(torch.rand(3), expected)


def test_without_a_seed_the_global_random_state_decides():
    torch.manual_seed(0)
    first = build({"name": "mlp"}, SHAPE, 10)
    torch.manual_seed(0)
    assert equal(first, build({"name": "mlp"}, SHAPE, 10))


def test_a_class_of_the_user_gets_the_arguments_that_it_names(own):
    model = build({"name": f"{own}:Tiny", "width": 6}, SHAPE, 5)
    assert model(torch.zeros(2, *SHAPE)).shape == (2, 5)
    assert model.conv.out_channels == 6


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "resnett"}, "unknown model 'resnett'; did you mean 'resnet'"),
        ({"name": "mlp", "hiden": (3,)}, "model 'mlp' cannot be built: .*hiden"),
        ({"name": "own_models:refuses", "width": 3}, "own_models:refuses.* width 3 is odd"),
        ({"name": "own_models:no_module"}, "is a tuple, not a torch.nn.Module"),
    ],
)
def test_a_model_that_cannot_be_built_is_named(own, config, message):
    with pytest.raises(InputError, match=message):
        build(config, SHAPE, 10)


def test_lazy_layers_get_their_shapes_and_their_weights_follow_from_the_seed(own):
    one, same, other = (build({"name": f"{own}:lazy"}, SHAPE, 10, seed=seed) for seed in (1, 1, 2))
    assert one[3].weight.shape == (10, 4 * 6 * 6) and one.training
    assert one[1].num_batches_tracked == 0
    assert torch.equal(one[3].weight, same[3].weight)
    assert not torch.equal(one[3].weight, other[3].weight)


@pytest.mark.parametrize("name", ["mlp", "own_models:Tiny", "own_models:ReadsValues"])
def test_a_model_that_fits_passes_the_check(own, name):
    check_model({"name": name}, SHAPE, 10)


def test_a_model_that_returns_no_logits_fails_the_check(own):
    with pytest.raises(InputError, match=r"own_models:headless.*\(2, 10\).*\(3, 8, 8\).*\(2, 192\)"):
        check_model({"name": f"{own}:headless"}, SHAPE, 10)


def test_a_model_that_does_not_take_the_images_fails_the_check(own):
    with pytest.raises(InputError, match=r"own_models:breaks' fails on images of shape \(3, 8, 8\)"):
        check_model({"name": f"{own}:breaks"}, SHAPE, 10)
