"""Configs drawn from the space of everything: each is built, and takes a step, on images of some shape.

`KDSEARCH_CONFIGS=1000 python -m pytest tests/distill/test_full_space.py` tries more of them.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kdsearch import models
from kdsearch.data import Augment, Batches, Images
from kdsearch.distill.assemble import assemble
from kdsearch.distill.loop import distill
from kdsearch.distill.matching import layers_of, match_layers
from kdsearch.distill.resident import Resident, Splits
from kdsearch.distill.stages import phases
from kdsearch.distill.teachers import TeacherStore
from kdsearch.space import RandomTrial, canonical, dimensions, fingerprint, sample
from kdsearch.spec import Spec, load_spec, read_yaml

SPACE = Path(__file__).parents[2] / "search_spaces/cifar100_full.yaml"
CONFIGS = int(os.environ.get("KDSEARCH_CONFIGS", "100"))
IMAGES = 4

#: The same space with models for small images.
SMALL: dict[str, Any] = {
    "teachers": {
        "resnet32x4": {"model": {"name": "resnet", "depth": 8, "width": 2}},
        "wrn_40_2": {"model": {"name": "wrn", "depth": 10, "width": 1}},
        "resnet110": {"model": {"name": "mlp", "hidden": [16, 12]}},
    },
    "student": {
        "choice": [
            {"name": "resnet", "depth": 8, "width": {"choice": [1, 2]}},
            {"name": "wrn", "depth": 10, "width": 1, "dropout": {"float": [0.0, 0.3]}},
            {"name": "convnet", "width": {"int": [2, 8]}, "depth": {"int": [2, 4]}},
            {"name": "mlp", "hidden": {"choice": [[8], [12, 8]]}},
        ]
    },
}


class Ready(Resident):
    """Teachers that need no training."""

    def __init__(self, splits: Splits) -> None:
        super().__init__(TeacherStore(Path()), torch.device("cpu"))
        self._given = splits

    def teacher(self, spec: Spec, name: str) -> nn.Module:
        config = spec.tree()["teachers"][name]["model"]
        model = models.build(config, self._given.shape, len(self._given.classes), seed=1)
        return model.eval().requires_grad_(False)


def remembering(splits: Splits) -> Any:
    """The layers of a model config, each model built once."""
    known: dict[str, Any] = {}

    def layers(config: Any) -> Any:
        if str(config) not in known:
            known[str(config)] = layers_of(config, splits.shape, len(splits.classes))
        return known[str(config)]

    return layers


def made_up(draw: random.Random) -> Splits:
    shape, classes = (draw.choice((1, 3)), draw.randint(5, 9), draw.randint(5, 9)), draw.randint(6, 12)
    pixels = torch.randint(0, 256, (IMAGES, *shape), dtype=torch.uint8)
    images = Images(pixels, torch.arange(IMAGES) % classes)
    mean, std = torch.full((shape[0],), 0.5), torch.full((shape[0],), 0.25)
    return Splits(images, images, None, mean, std, tuple(map(str, range(classes))))


def test_the_space_of_everything_is_large_and_quickly_drawn_from():
    spec = load_spec(SPACE)
    assert len(dimensions(spec)) > 200
    start = time.process_time()
    uids = {fingerprint(canonical(sample(spec, RandomTrial(seed)))) for seed in range(1000)}
    assert time.process_time() - start < 10
    assert len(uids) == 1000


@pytest.mark.slow
def test_configs_of_the_space_of_everything_are_built_and_take_a_step():
    spec = load_spec({**read_yaml(SPACE)[0], **SMALL})
    seen: set[str] = set()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for seed in range(CONFIGS):
        draw = random.Random(seed)
        splits = made_up(draw)
        drawn = match_layers(sample(spec, RandomTrial(seed)), remembering(splits))
        config = load_spec(canonical(drawn))
        loop = Batches(
            splits.train, batch_size=4, augment=Augment(), mean=splits.mean, std=splits.std, seed=seed
        )
        student = models.build(config.tree()["student"], splits.shape, len(splits.classes), seed=seed)
        for phase in phases(config):
            teachers, objective = assemble(config, phase.losses, student, Ready(splits), splits)
            try:
                metrics = distill(
                    objective,
                    teachers,
                    loop,
                    config.optim,
                    epochs=range(1),
                    evaluate=dict,
                    report=lambda _: True,
                )
            except Exception as error:
                raise AssertionError(f"config {seed}: {config.plain()}") from error
            finally:
                teachers.close()
                objective.close()
            seen |= {key.removeprefix("loss/") for key in metrics}
    torch.set_num_threads(threads)
    assert set(spec.distill.losses) <= seen
