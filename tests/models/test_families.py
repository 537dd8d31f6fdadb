"""The contract of every registered model, and the published sizes of the families."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kdsearch.errors import InputError
from kdsearch.models import build
from kdsearch.registry import parts

FAMILIES = ["mlp", "convnet", "resnet", "wrn"]
SMALL = [
    {"name": "mlp", "hidden": (9, 5), "dropout": 0.5},
    {"name": "mlp", "hidden": ()},
    {"name": "convnet", "width": 3, "depth": 3},
    {"name": "resnet", "depth": 8},
    {"name": "wrn", "depth": 10, "width": 1, "dropout": 0.3},
]


def parameters(**config: object) -> int:
    return sum(p.numel() for p in build(config, (3, 32, 32), 100).parameters())


def test_every_family_is_registered_with_documented_options_that_have_defaults():
    known = parts("model")
    assert set(known) == {*FAMILIES, "reused", "torchvision:", "timm:"}
    for part in known.values():
        assert part.summary
        for option in part.parameters.values():
            assert option.doc and (not option.required or part.name == "reused"), (part.name, option.name)


@settings(max_examples=8, deadline=None)
@given(
    config=st.sampled_from(SMALL),
    batch=st.integers(2, 4),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 13), st.integers(1, 13)),
    classes=st.integers(1, 11),
)
def test_every_family_learns_from_images_of_any_shape(config, batch, shape, classes):
    # Batch norm cannot train on one value a channel, so images of one pixel come in batches as well.
    model = build(config, shape, classes, seed=0)
    logits = model(torch.randn(batch, *shape))
    assert logits.shape == (batch, classes)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_ends_in_a_linear_layer_called_classifier(name):
    model = build({"name": name}, (3, 16, 16), 7)
    *_, (last, module) = model.named_children()
    assert last == "classifier" and isinstance(module, nn.Linear) and module.out_features == 7


@pytest.mark.parametrize("config", SMALL, ids=lambda c: c["name"])
def test_every_family_can_be_built_on_the_meta_device(config):
    with torch.device("meta"):
        model = build(config, (3, 32, 32), 10)
    assert all(p.is_meta for p in model.parameters())


@pytest.mark.parametrize(
    ("config", "published"),
    [
        ({"name": "resnet", "depth": 20}, 278_324),
        ({"name": "resnet", "depth": 56}, 861_620),
        ({"name": "resnet", "depth": 110}, 1_736_564),
        ({"name": "resnet", "depth": 8, "width": 4}, 1_233_540),
        ({"name": "resnet", "depth": 32, "width": 4}, 7_433_860),
        ({"name": "wrn", "depth": 16, "width": 2}, 703_284),
        ({"name": "wrn", "depth": 40, "width": 1}, 569_780),
        ({"name": "wrn", "depth": 40, "width": 2}, 2_255_156),
    ],
    ids=str,
)
def test_the_networks_of_the_literature_have_their_published_number_of_parameters(config, published):
    assert parameters(**config) == published


@pytest.mark.parametrize(
    ("name", "depth", "valid"), [("resnet", 21, 20), ("resnet", 2, 8), ("wrn", 17, 16), ("wrn", 4, 10)]
)
def test_a_depth_that_is_not_of_the_family_is_refused_with_the_nearest_that_is(name, depth, valid):
    with pytest.raises(InputError, match=f"depth {depth} .* the nearest is {valid}$"):
        build({"name": name, "depth": depth}, (3, 32, 32), 10)


def test_the_stages_of_a_resnet_halve_the_resolution_and_double_the_channels():
    model = build({"name": "resnet", "depth": 8, "width": 4}, (3, 32, 32), 10)
    x, shapes = torch.zeros(1, 3, 32, 32), []
    for name in ("stem", "stage1", "stage2", "stage3"):
        x = model.get_submodule(name)(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(32, 32, 32), (64, 32, 32), (128, 16, 16), (256, 8, 8)]


def test_a_convnet_stops_halving_where_there_is_nothing_left_to_halve():
    model = build({"name": "convnet", "width": 2, "depth": 6}, (1, 8, 8), 10).eval()
    assert model.get_submodule("stage6")(torch.zeros(1, 32, 1, 1)).shape == (1, 64, 1, 1)
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("config", SMALL, ids=lambda c: c["name"])
def test_a_hook_on_any_layer_sees_what_the_layer_returned(config):
    model = build(config, (3, 16, 16), 10, seed=0).eval()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    for module in model.modules():
        module.register_forward_hook(lambda _m, _i, out: seen.append((out, out.clone())))
    model(torch.randn(2, 3, 16, 16))
    assert all(torch.equal(kept, copied) for kept, copied in seen), "a later layer wrote over it in place"
