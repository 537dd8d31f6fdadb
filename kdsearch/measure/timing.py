"""Timing single-image forward passes."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import torch
from torch import Tensor, nn

from kdsearch.measure._evaluation import evaluation, image_for
from kdsearch.measure.shipping import threads_of
from kdsearch.types import Shape

WARM_UP = 50
RUNS = 1_000
SECONDS = 2.0
#: A model so slow that it runs fewer times in `SECONDS` is timed this often all the same.
FEWEST_RUNS = 20
_IMAGES = 8


@dataclass(frozen=True)
class Latency:
    """What was seen over `runs` forward passes of one image, in milliseconds: percentiles and the spread."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    iqr_ms: float
    runs: int

    def percentile(self, percentile: int) -> float:
        """One of the percentiles 50, 90 and 99."""
        return {50: self.p50_ms, 90: self.p90_ms, 99: self.p99_ms}[percentile]


def time_forward(model: nn.Module, shape: Shape) -> Latency:
    """Time single-image forward passes of `model` where its parameters are; see `time_stream`.

    Model, thread count, the thread's CPUs and garbage collector are put back after.
    """
    images = [image_for(model, shape, seed=seed) for seed in range(_IMAGES)]
    clock = _cuda_ms if images[0].is_cuda else _cpu_ms
    with evaluation(model), _threads(threads_of(model)):
        return time_stream(lambda run: clock(model, images[run % _IMAGES]))


def time_stream(clock: Callable[[int], float]) -> Latency:
    """Time one image after the other, each sent when the last is done: MLPerf's single stream.

    After a warm-up of 50 runs, runs are taken until there are 1,000 or 2 s have passed, whichever is first,
    and at least 20.

    Args:
        clock: Told the number of the run, over which the image should change, it runs the model once and
            returns the milliseconds.

    Reddi et al., MLPerf Inference Benchmark, 2020 (arXiv:1911.02549).
    """
    with _no_collection():
        started = time.perf_counter()
        for run in range(WARM_UP):
            clock(run)
            if time.perf_counter() - started > SECONDS:
                break
        samples: list[float] = []
        deadline = time.perf_counter() + SECONDS
        while len(samples) < RUNS and (len(samples) < FEWEST_RUNS or time.perf_counter() < deadline):
            samples.append(clock(len(samples)))
    return summary(samples)


def summary(samples: list[float]) -> Latency:
    """The percentiles and the spread of at least two `samples` in milliseconds."""
    cuts = quantiles(samples, n=100, method="inclusive")
    p25, p50, p75, p90, p99 = (cuts[percent - 1] for percent in (25, 50, 75, 90, 99))
    return Latency(p50_ms=p50, p90_ms=p90, p99_ms=p99, iqr_ms=p75 - p25, runs=len(samples))


@contextmanager
def _no_collection() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    """So many threads; one alone stays on the CPU it is on: moved to another it finds its caches cold."""
    threads, cpus = torch.get_num_threads(), _pin() if wanted == 1 else set[int]()
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if cpus:
            os.sched_setaffinity(0, cpus)


def _pin() -> set[int]:
    """Keep this thread on its CPU; returns those it could run on before, none where that cannot be done."""
    try:
        # The CPU is the 39th field of the kernel's account of a thread, whose second may hold spaces.
        fields = Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()
        cpus = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {int(fields[36])})
    except (OSError, AttributeError, IndexError, ValueError):
        return set()
    return cpus


def _cpu_ms(model: Callable[[Tensor], object], image: Tensor) -> float:
    start = time.perf_counter_ns()
    model(image)
    return (time.perf_counter_ns() - start) / 1e6


def _cuda_ms(model: Callable[[Tensor], object], image: Tensor) -> float:
    with torch.cuda.device(image.device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        model(image)
        end.record()
        end.synchronize()
    return float(start.elapsed_time(end))
