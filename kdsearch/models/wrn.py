"""Wide residual networks."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu

from kdsearch.models._layers import blocks_per_stage, conv3x3, he_initialised, named
from kdsearch.registry import register
from kdsearch.types import Fraction, PositiveInt, Shape


@register("model", paper="Zagoruyko and Komodakis, 2016")
def wrn(
    shape: Shape, classes: int, *, depth: PositiveInt = 16, width: PositiveInt = 2, dropout: Fraction = 0.0
) -> nn.Sequential:
    """Wide ResNet. Layers: `stem`, `stage1` to `stage3`, `norm`, `relu`, `pool`, `flatten`, `classifier`.

    What papers call WRN-40-2 has depth 40 and width 2.
    Maps images (B, C, H, W) to logits (B, classes).

    Args:
        depth: Number of convolutions on the main path: 10, 16, 22, 28, 34, 40, …
        width: Multiplier of the 16, 32 and 64 channels of the three stages.
        dropout: Share of activations dropped between the convolutions of a block while training.

    Raises:
        InputError: For a depth that is not 6n+4.
    """
    blocks = blocks_per_stage("wrn", depth, extra=4)
    return he_initialised(
        named(
            stem=conv3x3(shape[0], 16),
            stage1=_stage(blocks, 16, 16 * width, 1, dropout),
            stage2=_stage(blocks, 16 * width, 32 * width, 2, dropout),
            stage3=_stage(blocks, 32 * width, 64 * width, 2, dropout),
            norm=nn.BatchNorm2d(64 * width),
            relu=nn.ReLU(),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Linear(64 * width, classes),
        )
    )


def _stage(blocks: int, inputs: int, outputs: int, stride: int, dropout: float) -> nn.Sequential:
    rest = (_Block(outputs, outputs, 1, dropout) for _ in range(blocks - 1))
    return nn.Sequential(_Block(inputs, outputs, stride, dropout), *rest)


class _Block(nn.Module):
    """Norm and ReLU come before each convolution; a projected identity starts after the first ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv3x3(outputs, outputs)
        self.projection = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = relu(self.norm1(x))
        y = self.conv2(self.dropout(relu(self.norm2(self.conv1(active)))))
        shortcut = x if self.projection is None else self.projection(active)
        total: Tensor = y + shortcut
        return total
