"""Models of torchvision and timm, by their names there."""

import importlib.util

import pytest

from kdsearch.errors import InputError
from kdsearch.models import build, check_model


def test_a_torchvision_model_is_built_with_the_options_it_has_there():
    check_model({"name": "torchvision:squeezenet1_1"}, (3, 64, 64), 7)
    model = build({"name": "torchvision:squeezenet1_1", "dropout": 0.1}, (3, 64, 64), 7)
    assert "p=0.1" in str(model)


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        ({"name": "torchvision:resnet81"}, (3, 64, 64), "no classifier 'resnet81'; did you mean 'resnet18'"),
        ({"name": "torchvision:fcn_resnet50"}, (3, 64, 64), "no classifier 'fcn_resnet50'"),
        ({"name": "torchvision:resnet18"}, (1, 64, 64), "takes images of 3 channels; these have 1"),
        ({"name": "torchvision:resnet18", "widht": 2}, (3, 64, 64), "cannot be built: .*widht"),
    ],
)
def test_a_torchvision_model_that_cannot_be_built_is_refused(config, shape, message):
    with pytest.raises(InputError, match=message):
        build(config, shape, 10)


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_without_timm_its_models_are_refused():
    with pytest.raises(InputError, match="needs the package 'timm', which is not installed"):
        build({"name": "timm:resnet18"}, (3, 64, 64), 10)


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
def test_a_timm_model_takes_images_of_any_number_of_channels():
    check_model({"name": "timm:resnet18"}, (1, 64, 64), 7)
