"""A student that ends in its teacher's classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kdsearch.errors import InputError
from kdsearch.models._build import build
from kdsearch.registry import register
from kdsearch.types import Shape


@register("model", paper="Chen et al., 2022", internal=True)
class reused(nn.Module):
    """A body, a projector, and a classifier that is the teacher's and never trained.

    The projector, 1x1, 3x3 and 1x1 convolutions with batch normalisation and ReLU, brings the body's last
    feature map to the channels that the teacher's classifier reads as their mean over all positions. It is
    part of what ships, and of its size and latency. Where a body has no map that can be reached (its pooling
    is no module), the vector before its own classifier is projected.

    Maps images (B, C, H, W) to logits (B, classes). Layers: `body`, `projector`, `classifier`.

    Args:
        body: A model and its options.
        teacher: The model and options of the teacher.
    """

    #: The teacher's channels over those in the middle of the projector: the paper's factor.
    squeeze = 2

    def __init__(self, shape: Shape, classes: int, *, body: dict[str, Any], teacher: dict[str, Any]) -> None:
        super().__init__()
        theirs = head(build(teacher, shape, classes, seed=0), shape, teacher)[1]
        self.body, width, mapped = _beheaded(body, shape, classes)
        middle = max(theirs.in_features // self.squeeze, 1)
        self.projector = nn.Sequential(
            *_step(width, middle),
            *_step(middle, middle, 3 if mapped else 1),
            *_step(middle, theirs.in_features),
        )
        self.classifier = nn.Linear(theirs.in_features, classes, bias=theirs.bias is not None)

    def forward(self, images: Tensor) -> Tensor:
        feature = self.body(images)
        feature = feature if feature.dim() == 4 else feature[:, :, None, None]
        logits: Tensor = self.classifier(self.projector(feature).mean((2, 3)))
        return logits

    def adopt(self, teacher: nn.Module, shape: Shape) -> None:
        """Take over a teacher's classifier, and keep it as it is."""
        theirs = head(teacher, shape, {"name": type(teacher).__name__})[1]
        self.classifier.load_state_dict(theirs.state_dict())
        self.classifier.requires_grad_(False)


def head(model: nn.Module, shape: Shape, config: Mapping[str, Any]) -> tuple[str, nn.Linear]:
    """The path of the linear layer that gives a model's logits, and the layer.

    Raises:
        InputError: When the logits come from anything else.
    """
    last: list[tuple[str, nn.Module, Tensor]] = []
    handles = [
        module.register_forward_hook(lambda m, _, out, path=path: last.append((path, m, out)))
        for path, module in model.named_modules()
        if path and not any(True for _ in module.children())
    ]
    training, device = model.training, next(model.parameters()).device
    try:
        with torch.no_grad():
            logits = model.eval()(torch.zeros(2, *shape, device=device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    path, layer, output = last[-1]
    if not isinstance(layer, nn.Linear) or output is not logits:
        raise InputError(f"model '{config['name']}' does not end in a linear layer that could be reused")
    return path, layer


def _beheaded(config: Mapping[str, Any], shape: Shape, classes: int) -> tuple[nn.Module, int, bool]:
    """A model that ends before its last pooling, or else before its classifier; its channels; which it is."""
    for maps in (True, False):
        model = build(config, shape, classes, seed=0)
        path, _ = head(model, shape, config)
        tail = [name for name, m in model.named_modules() if isinstance(m, nn.AdaptiveAvgPool2d | nn.Flatten)]
        for name in [path, *(tail[-2:] if maps else ())]:
            model.set_submodule(name, nn.Identity())
        try:
            with torch.no_grad():
                feature = model.eval()(torch.zeros(2, *shape))
        except RuntimeError:  # what was taken out was no tail
            if not maps:
                raise
            continue
        if feature.dim() == 4 or not maps:
            break
    return model.train(), feature.shape[1], feature.dim() == 4


def _step(inputs: int, outputs: int, kernel: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
