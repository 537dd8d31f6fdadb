"""Latency: what is timed, how often, and that nothing is left changed."""

from __future__ import annotations

import gc
import time

import pytest
import torch
from torch import Tensor, nn

from kdsearch.measure import Latency, device_name, time_forward
from kdsearch.measure.device import _cpu_name
from kdsearch.measure.latency_ms import latency_ms
from kdsearch.measure.timing import FEWEST_RUNS, MOST_RUNS, SECONDS, WARM_UP, summary


class Spy(nn.Module):
    """Takes `seconds` a pass, and notes how it was called."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.seconds = seconds
        self.images: list[Tensor] = []
        self.states: set[tuple[bool, bool, int, bool]] = set()

    def forward(self, image: Tensor) -> Tensor:
        self.images.append(image)
        self.states.add(
            (self.training, torch.is_inference_mode_enabled(), torch.get_num_threads(), gc.isenabled())
        )
        time.sleep(self.seconds)
        return image


def test_a_quick_model_is_timed_a_thousand_times_at_the_most():
    spy = Spy()
    assert FEWEST_RUNS <= time_forward(spy, (3, 2, 2)).runs == len(spy.images) - WARM_UP <= MOST_RUNS


def test_a_slow_model_is_timed_fifty_times_and_its_time_is_right():
    found = time_forward(Spy(seconds=SECONDS / 20), (3, 2, 2))
    assert found.runs == FEWEST_RUNS
    assert 10 <= found.median_ms < 40
    assert found.p90_ms >= found.median_ms and found.iqr_ms >= 0


def test_passes_are_of_one_image_that_varies_of_the_models_dtype():
    spy = Spy()
    time_forward(spy, (3, 2, 2))
    assert {tuple(image.shape) for image in spy.images} == {(1, 3, 2, 2)}
    assert {image.dtype for image in spy.images} == {torch.float64}
    assert len({image.sum().item() for image in spy.images}) > 1


def test_passes_are_in_evaluation_on_one_thread_and_all_is_put_back():
    spy, threads, state = Spy().train(), torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(2)
    try:
        time_forward(spy, (3, 2, 2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert spy.states == {(False, True, 1, False)}
    assert spy.training and gc.isenabled() and not torch.is_inference_mode_enabled()
    assert torch.equal(state, torch.get_rng_state())


def test_all_is_put_back_after_an_error():
    class Broken(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            raise RuntimeError("broken")

    model = Broken()
    with pytest.raises(RuntimeError, match="broken"):
        time_forward(model, (1, 1, 1))
    assert model.training and gc.isenabled()


def test_the_objective_is_the_median():
    assert 2 <= latency_ms(Spy(seconds=0.002), (1, 1, 1)) < 20


def test_the_summary_is_that_computed_by_hand():
    assert summary([5.0, 1.0, 4.0, 2.0, 3.0]) == Latency(median_ms=3.0, p90_ms=4.6, iqr_ms=2.0, runs=5)


def test_a_cpu_is_named_by_its_model(tmp_path):
    assert device_name("cpu")
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name\t: Fast CPU @ 3 GHz\nprocessor : 1\nmodel name\t: Other\n")
    assert _cpu_name(info) == "Fast CPU @ 3 GHz"
    assert _cpu_name(tmp_path / "missing")
