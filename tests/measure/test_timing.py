"""Latency: what is timed, how often, and that nothing is left changed."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kdsearch.machine import cpu_name
from kdsearch.measure import (
    Deployment,
    Figure,
    Timings,
    conditions,
    device_name,
    figure,
    measure_alone,
    time_forward,
    timing,
)
from kdsearch.measure.device import _governor
from kdsearch.measure.latency_ms import latency_ms
from kdsearch.measure.timing import FEWEST_RUNS, RUNS, SECONDS, WARM_UP, _choose, summary
from kdsearch.registry import find


class Spy(nn.Module):
    """Takes `seconds` a pass, and notes how it was called."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.seconds = seconds
        self.images: list[Tensor] = []
        self.states: set[tuple[object, ...]] = set()

    def forward(self, image: Tensor) -> Tensor:
        self.images.append(image)
        self.states.add(
            (
                self.training,
                torch.is_inference_mode_enabled(),
                torch.get_num_threads(),
                gc.isenabled(),
                len(os.sched_getaffinity(0)),
            )
        )
        time.sleep(self.seconds)
        return image


def test_a_quick_model_is_timed_a_thousand_times_after_a_warm_up():
    spy = Spy()
    assert time_forward(spy, (3, 2, 2)).runs == RUNS == len(spy.images) - WARM_UP


def test_a_slow_model_is_timed_for_two_seconds_and_its_time_is_right():
    started = time.perf_counter()
    found = time_forward(Spy(seconds=0.01), (3, 2, 2))
    assert time.perf_counter() - started >= SECONDS
    assert FEWEST_RUNS < found.runs <= SECONDS / 0.01
    assert 10 <= found.p50_ms <= found.p90_ms <= found.p99_ms and found.p50_ms < 40 and found.iqr_ms >= 0


def test_a_very_slow_model_is_timed_a_few_times_all_the_same(monkeypatch):
    monkeypatch.setattr(timing, "SECONDS", 0.02)
    assert time_forward(Spy(seconds=0.01), (3, 2, 2)).runs == FEWEST_RUNS


def test_passes_are_of_one_image_that_varies_of_the_models_dtype():
    spy = Spy()
    time_forward(spy, (3, 2, 2))
    assert {tuple(image.shape) for image in spy.images} == {(1, 3, 2, 2)}
    assert {image.dtype for image in spy.images} == {torch.float64}
    assert len({image.sum().item() for image in spy.images}) > 1


def test_passes_are_in_evaluation_on_one_pinned_thread_and_all_is_put_back():
    spy, threads, state = Spy().train(), torch.get_num_threads(), torch.get_rng_state()
    cpus = os.sched_getaffinity(0)
    torch.set_num_threads(2)
    try:
        time_forward(spy, (3, 2, 2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert spy.states == {(False, True, 1, False, 1)}
    assert spy.training and gc.isenabled() and not torch.is_inference_mode_enabled()
    assert torch.equal(state, torch.get_rng_state())
    assert os.sched_getaffinity(0) == cpus


def affinities() -> dict[int, frozenset[int]]:
    """On which CPUs each thread of this process may run."""
    threads = [int(path.name) for path in Path("/proc/self/task").iterdir()]
    return {thread: frozenset(os.sched_getaffinity(thread)) for thread in threads}


class Shipped(nn.Module):
    """Called on two threads; notes on which CPUs every thread of this process may run meanwhile."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.deployment = Deployment(0, torch.device("cpu"), threads=threads)
        self.seen: set[tuple[int, int, frozenset[int]]] = set()

    def forward(self, image: Tensor) -> Tensor:
        torch.mm(torch.ones(512, 512), torch.ones(512, 512))  # enough for both threads
        self.seen |= {(torch.get_num_threads(), *each) for each in affinities().items()}
        return image


@pytest.fixture
def restricted() -> Iterator[int]:
    """Another thread of this process, as a pool has them, that may run on one CPU alone; its number."""
    numbers: list[int] = []
    begun, end = threading.Event(), threading.Event()

    def wait() -> None:
        numbers.append(threading.get_native_id())
        begun.set()
        end.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    begun.wait()
    os.sched_setaffinity(numbers[0], {min(os.sched_getaffinity(0))})
    yield numbers[0]
    end.set()
    thread.join()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_several_threads_are_kept_on_as_many_cpus_and_put_back(restricted, monkeypatch):
    monkeypatch.setattr(timing, "SECONDS", 0.2)
    before = affinities()
    assert len(before[restricted]) == 1
    model = Shipped(threads=2)
    time_forward(model, (1, 2, 2))
    assert {threads for threads, _, _ in model.seen} == {2}
    (cpus,) = {cpus for _, _, cpus in model.seen}
    assert len(cpus) == 2 and (2, restricted, cpus) in model.seen
    after = affinities()
    assert {thread: after[thread] for thread in before} == before
    assert {own for thread, own in after.items() if thread not in before} <= {
        frozenset(os.sched_getaffinity(0))
    }


def test_one_thread_leaves_the_others_of_its_process_where_they_are(restricted, monkeypatch):
    monkeypatch.setattr(timing, "SECONDS", 0.2)
    cpu, model = os.sched_getaffinity(restricted), Shipped(threads=1)
    time_forward(model, (1, 2, 2))
    assert {own for _, thread, own in model.seen if thread == restricted} == {frozenset(cpu)}


def test_cpus_of_different_cores_are_chosen_first(tmp_path):
    for cpu in range(8):  # 0 and 4 are threads of one core, 1 and 5, …
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 4},{cpu % 4 + 4}\n")
    allowed = set(range(8))
    assert _choose(5, allowed, 1, tmp_path) == {5}
    assert _choose(5, allowed, 4, tmp_path) == {5, 0, 2, 3}
    assert _choose(5, allowed, 6, tmp_path) == {5, 0, 2, 3, 1, 4}
    assert _choose(5, {1, 5}, 4, tmp_path) == {1, 5}


def test_all_is_put_back_after_an_error():
    class Broken(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            raise RuntimeError("broken")

    model = Broken()
    with pytest.raises(RuntimeError, match="broken"):
        time_forward(model, (1, 1, 1))
    assert model.training and gc.isenabled()


def test_the_objective_is_the_percentile_that_is_asked_for():
    class Uneven(Spy):
        def forward(self, image: Tensor) -> Tensor:
            self.seconds = 0.012 if len(self.images) % 20 in (3, 4, 13) else 0.001
            return super().forward(image)

    assert 1 <= latency_ms(Uneven(), (1, 1, 1)) < 8
    assert 12 <= latency_ms(Uneven(), (1, 1, 1), percentile=90) < 40


def test_the_summary_is_that_of_numpy():
    samples = np.random.default_rng(0).gamma(2.0, size=997)
    p25, p50, p75, p90, p99 = np.percentile(samples, [25, 50, 75, 90, 99])
    found = summary(samples.tolist())
    assert (found.p50_ms, found.p90_ms, found.p99_ms) == pytest.approx((p50, p90, p99))
    assert found.iqr_ms == pytest.approx(p75 - p25) and found.runs == 997
    assert summary([5.0, 1.0, 4.0, 2.0, 3.0]).p50_ms == 3.0


def test_alone_one_measurement_gives_every_percentile():
    spy, part = Spy(), find("objective", "latency_ms")
    asked = [figure("latency_ms"), Figure("tail", part, {"percentile": 99}), figure("macs")]
    found = measure_alone(spy, (3, 2, 2), asked)
    assert len(spy.images) == WARM_UP + RUNS
    assert found["tail"] == found["latency_p99_ms"] >= found["latency_p90_ms"] >= found["latency_ms"] > 0
    assert found["estimated"] == 0 and found["latency_runs"] == RUNS and "macs" not in found


def test_timings_are_kept_by_architecture_and_marked_as_estimates(tmp_path):
    spy, part = Spy(), find("objective", "latency_ms")
    timings, config = Timings(tmp_path), {"name": "spy"}
    asked = [figure("latency_ms"), Figure("tail", part, {"percentile": 99}), figure("macs")]
    first = timings.of(spy, config, (3, 2, 2), 4, asked)
    runs = len(spy.images)
    assert set(first) == {"latency_ms", "tail", "estimated"} and first["estimated"] == 1
    assert timings.of(spy, config, (3, 2, 2), 4, asked) == first and len(spy.images) == runs
    renamed = timings.of(spy, config, (3, 2, 2), 4, [Figure("p50", part, {})])
    assert renamed == {"p50": first["latency_ms"], "estimated": 1} and len(spy.images) == runs
    timings.of(spy, {"name": "other"}, (3, 2, 2), 4, asked)
    assert len(spy.images) > runs
    assert timings.of(spy, config, (3, 2, 2), 4, [figure("macs")]) == {}
    (kept, _) = (json.loads(path.read_text()) for path in tmp_path.iterdir())
    assert kept["conditions"] == conditions("cpu")


def test_the_conditions_name_device_and_libraries():
    found = conditions("cpu")
    assert found["device"] == device_name("cpu")
    assert torch.__version__ in found["libraries"]


def test_the_governor_is_told_where_the_system_tells_it(tmp_path):
    assert _governor(tmp_path) == ""
    for cpu in range(3):
        folder = tmp_path / f"cpu{cpu}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text("performance\n" if cpu else "powersave\n")
    assert _governor(tmp_path) == "performance, powersave"


def test_a_cpu_is_named_by_its_model(tmp_path):
    assert device_name("cpu")
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name\t: Fast CPU @ 3 GHz\nprocessor : 1\nmodel name\t: Other\n")
    assert cpu_name(info) == "Fast CPU @ 3 GHz"
    assert cpu_name(tmp_path / "missing")
