"""Steps of several batches: each is along the mean of their gradients, however many there are."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional as F

from kdsearch import models
from kdsearch.distill.run import make_batches, run
from kdsearch.distill.session import Session, local_worker
from kdsearch.spec import load_spec


def test_the_last_step_of_an_epoch_is_as_long_as_the_others(tmp_path: Path):
    content = {
        "data": {"source": "digits", "batch_size": 200, "validation": 297 / 1797},
        "student": {"name": "mlp", "hidden": [8]},
        "optim": {"name": "sgd", "lr": 0.1, "momentum": 0.0, "schedule": "constant", "weight_decay": 0.0},
    }
    content["optim"] |= {"epochs": 2, "accumulate": 4}
    config = load_spec(content)
    session = Session(tmp_path, local_worker(config))
    student, _ = run(config, session.resident, session.worker, report=lambda metrics: True)
    splits = session.resident.splits(config)
    expected = models.build(config.tree()["student"], splits.shape, 10, seed=config.search.seed)
    batches = make_batches(config, splits, session.worker)
    assert len(batches) % 4 == 2
    for epoch in range(2):
        listed = list(batches.epoch(epoch))
        for start in range(0, len(listed), 4):
            step = listed[start : start + 4]
            loss = sum(F.cross_entropy(expected(batch.images), batch.labels) for batch in step) / len(step)
            gradients = torch.autograd.grad(loss, list(expected.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(expected.parameters(), gradients, strict=True):
                    parameter -= 0.1 * gradient
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(student.state_dict()[name], value, rtol=1e-4, atol=1e-6)
