"""Worker groups of two: what only the first worker does, the other does not wait for or touch."""

from __future__ import annotations

import pytest
from small import small_spec

from kdsearch.spec import load_spec
from kdsearch.storage import local
from kdsearch.tune.slots import Slots

pytestmark = [pytest.mark.slow, pytest.mark.long]

#: Written after the weights, and by the first worker alone: the second is there long before.
SLOW_TO_WRITE = {"format": "onnx", "precision": "int8"}


@pytest.mark.parametrize("place", ["{}/store", "file://{}/bucket"])
def test_a_confirmation_is_scored_on_the_test_split_once_its_student_is_written(local_ray, tmp_path, place):
    pytest.importorskip("onnxruntime")
    config = load_spec(
        small_spec(
            tmp_path,
            teachers={},
            student={"name": "convnet", "width": 4},
            distill={"losses": {"ce": {}}},
            deploy=SLOW_TO_WRITE,
            compute={"workers": 2, "storage": place.format(tmp_path)},
        )
    )
    storage = local(config.compute.storage)
    folder = storage.absolute() / "searches" / "small" / "confirm" / "it-1"
    slots = Slots(config.compute, 1, storage, tmp_path / "train", print)
    try:
        job = {"uid": "it", "kind": "confirm", "config": config.plain(), "repeat": 1}
        metrics = slots.run({**job, "folder": str(folder)})["metrics"]
    finally:
        slots.close()
    assert metrics["epoch"] == 3
    assert 0.05 < metrics["test_accuracy"] <= 1
