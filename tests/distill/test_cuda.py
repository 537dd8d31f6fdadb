"""What only a GPU shows: nothing in an epoch waits for it, data stay on it, and its memory is shared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch.data import Batch, Batches
from kdsearch.distill import run as run_module
from kdsearch.distill.evaluate import predict
from kdsearch.registry import parts
from kdsearch.tune.worker import CONTEXT_BYTES, memory_fraction
from tests.distill.test_bank import AUGMENT, CONTENT, HINT, asks, config_of, curve

GPU = {"gpus_per_worker": 1}
BANKS = {"fp16": {}, "fp32": {"dtype": "fp32"}, "host": {"device_bytes": 0}, "off": {"enabled": False}}

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


class Watched(Batches):
    """Batches between the first and the last of which nothing may wait for the GPU."""

    def epoch(self, epoch: int) -> Iterator[Batch]:
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield from super().epoch(epoch)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    torch.cuda.set_sync_debug_mode("default")


def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distill: dict[str, Any], **sections: Any) -> None:
    """Train twice: first views are filled and opened, for which the GPU is waited for, and then read."""
    compute = {"storage": str(tmp_path), **GPU}
    session, config = config_of(tmp_path, distill, compute=compute, **sections)
    assert session.worker.device.type == "cuda"
    first = curve(session, config, tmp_path)
    monkeypatch.setattr(run_module, "Batches", Watched)
    again = curve(session, config, tmp_path)
    assert [metrics["loss"] for metrics in again] == pytest.approx(
        [metrics["loss"] for metrics in first], rel=1e-2
    )


@pytest.mark.parametrize("augment", [AUGMENT, {}, {"mixup": 0.2, "cutmix": 1.0, **AUGMENT}])
@pytest.mark.parametrize("bank", BANKS.values(), ids=BANKS)
def test_no_step_waits_for_the_gpu(
    tmp_path: Path, watch: pytest.MonkeyPatch, bank: dict[str, Any], augment: dict[str, Any]
):
    distill = {"teachers": {"members": ["wide", "flat"]}, "losses": {"ce": {}, "kd": {}, "hint": HINT}}
    check(tmp_path, watch, distill, bank=bank, data={**CONTENT["data"], "augment": augment})


def test_no_step_waits_where_all_outcomes_are_kept(tmp_path: Path, watch: pytest.MonkeyPatch):
    check(tmp_path, watch, asks("loss", "kd"), bank={"outcomes": True})


def test_no_step_waits_for_temperatures_of_each_teacher_and_specialists(
    tmp_path: Path, watch: pytest.MonkeyPatch
):
    teachers = {
        "wide": CONTENT["teachers"]["wide"],
        "flat": {**CONTENT["teachers"]["flat"], "classes": [3, 8, "9"]},
    }
    temperatures = {"per_teacher": {"wide": 2.0, "flat": 4.0}}
    distill = {
        "teachers": {"members": ["wide", "flat"], "combine": "gradient"},
        "losses": {"ce": {}, "kd": {"temperature": temperatures}},
    }
    check(tmp_path, watch, distill, teachers=teachers)


@pytest.mark.parametrize("name", parts("ensemble"))
def test_no_step_waits_for_an_ensemble(name: str, tmp_path: Path, watch: pytest.MonkeyPatch):
    check(tmp_path, watch, asks("ensemble", name))


@pytest.mark.parametrize("name", [name for name, part in parts("loss").items() if part.facts.get("matching")])
def test_no_step_waits_for_a_loss_of_features(name: str, tmp_path: Path, watch: pytest.MonkeyPatch):
    check(tmp_path, watch, asks("loss", name))


def test_images_and_teachers_are_placed_once_and_as_batches_are_laid_out(tmp_path: Path):
    session, config = config_of(tmp_path, asks("loss", "kd"), compute={"storage": str(tmp_path), **GPU})
    first, again = session.resident.placed(config), session.resident.placed(config)
    assert first.train.images.is_cuda and first.validation.images.is_cuda
    batches = run_module.make_batches(config, again, session.worker)
    assert batches._data.images.data_ptr() == first.train.images.data_ptr()
    teacher = session.resident.teacher(config, "wide")
    kernels = [p for p in teacher.parameters() if p.dim() == 4]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    host = session.resident.splits(config)
    on_gpu, _ = predict(teacher, first.validation, host.mean, host.std, device="cuda")
    on_cpu, labels = predict(teacher.cpu(), host.validation, host.mean, host.std)
    torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-2, atol=1e-2)
    assert torch.equal(labels, host.validation.labels)


def test_a_process_stays_within_its_share_of_the_memory_with_its_context():
    _, total = torch.cuda.mem_get_info()
    share = 0.1
    torch.cuda.set_per_process_memory_fraction(memory_fraction(share, total))
    try:
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(int(share * total), dtype=torch.uint8, device="cuda")
        torch.empty(int(share * total) - CONTEXT_BYTES - (64 << 20), dtype=torch.uint8, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
