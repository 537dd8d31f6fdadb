"""What a model says of a split does not depend on how many images it is shown at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdsearch.data import Images
from kdsearch.distill.evaluate import predict

IMAGES = Images(torch.randint(0, 256, (700, 1, 4, 4), dtype=torch.uint8), torch.arange(700) % 10)
MEAN, STD = torch.tensor([0.5]), torch.tensor([0.25])


class Limited(nn.Module):
    """A linear model that runs out of memory, as on a GPU, on more images than `limit`."""

    def __init__(self, limit: int, width: int) -> None:
        super().__init__()
        self.limit, self.sizes = limit, list[int]()
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(16, width))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(images))
        if len(images) > self.limit:
            raise torch.OutOfMemoryError
        return self.model(images)


def test_a_batch_that_does_not_fit_is_halved_once_a_process_and_the_logits_are_the_same():
    model = Limited(limit=200, width=10).train()
    logits, labels = predict(model, IMAGES, MEAN, STD)
    assert model.sizes == [512, 256, *[128] * 5, 60] and model.training
    model.sizes.clear()
    predict(model, IMAGES, MEAN, STD)
    assert model.sizes == [*[128] * 5, 60]
    expected = model.model((IMAGES.images / 255 - 0.5) / 0.25)
    torch.testing.assert_close(logits, expected)
    assert torch.equal(labels, IMAGES.labels)


def test_one_image_that_does_not_fit_is_an_error():
    model = Limited(limit=0, width=9).train()
    with pytest.raises(torch.OutOfMemoryError):
        predict(model, IMAGES, MEAN, STD)
    assert model.sizes[-1] == 1 and model.training
