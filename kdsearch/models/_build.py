"""From a config to a model."""

from __future__ import annotations

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

    Raises:
        InputError: For an unknown name, or when the model refuses its options; it names the model.
    """
    name = str(config["name"])
    part = find("model", name)
    part.load()  # what a module draws while it is imported must not shift the weights
    supply: Mapping[str, object] = {
        "shape": shape,
        "classes": classes,
        "num_classes": classes,
        "in_channels": shape[0],
    }
    try:
        options = {key: value for key, value in config.items() if key != "name"}
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.default_generator.manual_seed(seed)
            model = part.build(supply, options)
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
