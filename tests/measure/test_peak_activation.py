"""Peak activation memory, against sums made by hand and what PyTorch's allocator reports."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from kdsearch.measure.peak_activation_mb import peak_activation_mb

SHAPE = (3, 8, 8)
IMAGE = 4 * 3 * 8 * 8


def convnet(device="cpu", inplace=False):
    with torch.device(device):
        return nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=inplace),
            nn.Conv2d(16, 4, 1),
            nn.Flatten(),
            nn.Linear(4 * 64, 10),
        )


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_peak_is_the_image_with_the_largest_input_and_output(device):
    largest = 2 * 4 * 16 * 64
    assert peak_activation_mb(convnet(device), SHAPE) * 1e6 == IMAGE + largest


def test_what_is_done_in_place_takes_no_memory():
    layers = [nn.Conv2d(3, 16, 1), nn.ReLU(inplace=True), nn.Conv2d(16, 4, 1)]
    plain = [nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1)]
    assert peak_activation_mb(nn.Sequential(*layers), SHAPE) * 1e6 == IMAGE + 4 * 16 * 64 + 4 * 4 * 64
    assert peak_activation_mb(nn.Sequential(*plain), SHAPE) * 1e6 == IMAGE + 2 * 4 * 16 * 64


def test_what_a_residual_branch_keeps_alive_counts():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Conv2d(3, 9, 1), nn.Conv2d(9, 3, 1)

        def forward(self, image: Tensor) -> Tensor:
            start = image + 1
            return start + self.down(self.up(start))

    # The image and `start`, and then the wide map and its narrow successor.
    assert peak_activation_mb(Residual(), SHAPE) * 1e6 == 2 * IMAGE + 3 * IMAGE + IMAGE


def test_views_and_parameters_take_nothing():
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1000))
            self.register_buffer("table", torch.zeros(1000))

        def forward(self, image: Tensor) -> Tensor:
            self.weight.view(10, 100).t(), self.table.detach()
            return image.flatten(1).view(1, 3, 64).transpose(1, 2)

    assert peak_activation_mb(Views(), SHAPE) * 1e6 == IMAGE


def test_the_peak_is_what_pytorchs_allocator_saw():
    model, image = convnet().eval(), torch.randn(1, *SHAPE)
    with torch.inference_mode():
        model(image)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
            model(image)
    steps = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(steps, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    # The allocator also sees what convolutions rearrange within themselves.
    assert peak >= peak_activation_mb(model, SHAPE) * 1e6 - IMAGE
    assert peak == pytest.approx(peak_activation_mb(model, SHAPE) * 1e6 - IMAGE, rel=0.35)


def test_the_model_is_left_as_it_was():
    model = convnet().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert peak_activation_mb(model, SHAPE) == peak_activation_mb(model, SHAPE)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
