"""The residual networks of the CIFAR experiments, with the widths used in the distillation literature."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu

from kdsearch.models._layers import blocks_per_stage, conv3x3, he_initialised, named
from kdsearch.registry import register
from kdsearch.types import PositiveInt, Shape


@register("model", paper="He et al., 2016; widths as in Tian et al., 2020")
def resnet(shape: Shape, classes: int, *, depth: PositiveInt = 20, width: PositiveInt = 1) -> nn.Sequential:
    """CIFAR ResNet. Layers: `stem`, `stage1`, `stage2`, `stage3`, `pool`, `flatten`, `classifier`.

    What papers call resnet56 has depth 56 and width 1; resnet32x4 has depth 32 and width 4.
    Maps images (B, C, H, W) to logits (B, classes).

    Args:
        depth: Number of layers with weights on the main path: 8, 14, 20, … 110.
        width: Multiplier of the 16, 32 and 64 channels of the three stages.

    Raises:
        InputError: For a depth that is not 6n+2.
    """
    blocks = blocks_per_stage("resnet", depth, extra=2)
    # The stem of the published networks does not scale with the stages: 16 channels at x1 and x2, 32 at x4.
    stem = max(16, 8 * width)
    return he_initialised(
        named(
            stem=named(conv=conv3x3(shape[0], stem), norm=nn.BatchNorm2d(stem), relu=nn.ReLU()),
            stage1=_stage(blocks, stem, 16 * width, stride=1),
            stage2=_stage(blocks, 16 * width, 32 * width, stride=2),
            stage3=_stage(blocks, 32 * width, 64 * width, stride=2),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Linear(64 * width, classes),
        )
    )


def _stage(blocks: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    rest = (_Block(outputs, outputs) for _ in range(blocks - 1))
    return nn.Sequential(_Block(inputs, outputs, stride), *rest)


class _Block(nn.Module):
    """Two convolutions beside an identity, which is projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = named(conv=projection, norm=nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(relu(self.norm1(self.conv1(x)))))
        return relu(y + self.shortcut(x))
