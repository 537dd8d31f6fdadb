"""From a config to a model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from kdsearch.errors import InputError
from kdsearch.registry import find
from kdsearch.types import Shape


def build(config: Mapping[str, object], shape: Shape, classes: int, *, seed: int | None = None) -> nn.Module:
    """The model that `config` names, untrained.

    Args:
        config: `name`, a registered model or `package.module:name`, and its options.
        shape: Channels, height and width of an image.
        classes: Number of logits.
        seed: When given, the weights depend on it alone, and the global random state is left as it was.

    Raises InputError, naming the model, for an unknown name or when the model refuses its options.
    """
    name = str(config["name"])
    constructor = find("model", name).load()
    supply: Mapping[str, object] = {
        "shape": shape,
        "classes": classes,
        "num_classes": classes,
        "in_channels": shape[0],
    }
    try:
        wanted = inspect.signature(constructor).parameters
        options = {key: value for key, value in config.items() if key != "name"}
        supplied = {key: value for key, value in supply.items() if key in wanted}
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.default_generator.manual_seed(seed)
            model = constructor(**supplied | options)
            if isinstance(model, nn.Module) and _is_lazy(model):
                with torch.no_grad():
                    model.eval()(torch.zeros(1, *shape))
                model.train()
    except Exception as error:  # it may be the user's own, and raise what it will
        raise InputError(f"model '{name}' cannot be built: {error}") from error
    if not isinstance(model, nn.Module):
        raise InputError(f"model '{name}' is a {type(model).__name__}, not a torch.nn.Module")
    return model


def _is_lazy(model: nn.Module) -> bool:
    """Whether some of its parameters get their shapes from the first images that it sees."""
    return any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters())
