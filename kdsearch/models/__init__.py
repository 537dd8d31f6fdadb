"""Models: networks that map float images (B, C, H, W) to logits (B, classes), by name.

A new family is one new module here with one function or class under `@register("model")`, which takes
`(shape, classes)` and keyword-only options. Its last linear layer is called `classifier`.
"""

from kdsearch.models._build import build
from kdsearch.models._check import check_model
from kdsearch.models.checkpoint import aliases_in, load_weights, save_weights
from kdsearch.models.layout import channels_last, lay_out, restore, take_any_layout

__all__ = [
    "aliases_in",
    "build",
    "channels_last",
    "check_model",
    "lay_out",
    "load_weights",
    "restore",
    "save_weights",
    "take_any_layout",
]
