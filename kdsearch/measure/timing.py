"""Timing single-image forward passes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import quantiles

import torch
from torch import Tensor, nn

from kdsearch.measure._evaluation import evaluation, image_for
from kdsearch.types import Shape

WARM_UP = 10
FEWEST_RUNS = 50
MOST_RUNS = 1_000
SECONDS = 0.2
_IMAGES = 4


@dataclass(frozen=True)
class Latency:
    """What was seen over `runs` forward passes of one image, in milliseconds: the middle and the spread."""

    median_ms: float
    p90_ms: float
    iqr_ms: float
    runs: int


def time_forward(model: nn.Module, shape: Shape) -> Latency:
    """Time single-image forward passes of `model` where its parameters are.

    After a warm-up of 10 runs, at least 50 and at most 1,000 are taken, until 0.2 s have passed, over
    images[1, C, H, W] that change from run to run. On a CPU one thread is used and the wall clock read, on a
    GPU each run stands between two CUDA events. Model, thread count and garbage collector are put back after.

    Single stream, as in MLPerf Inference (Reddi et al. 2020, arXiv:1911.02549).
    """
    images = [image_for(model, shape, seed=seed) for seed in range(_IMAGES)]
    clock = _cuda_ms if images[0].is_cuda else _cpu_ms
    with evaluation(model), _quiet():
        for run in range(WARM_UP):
            clock(model, images[run % _IMAGES])
        samples: list[float] = []
        deadline = time.perf_counter() + SECONDS
        while len(samples) < FEWEST_RUNS or (len(samples) < MOST_RUNS and time.perf_counter() < deadline):
            samples.append(clock(model, images[len(samples) % _IMAGES]))
    return summary(samples)


def summary(samples: list[float]) -> Latency:
    """The middle and the spread of at least two `samples` in milliseconds."""
    low, median, high = quantiles(samples, n=4, method="inclusive")
    p90 = quantiles(samples, n=10, method="inclusive")[-1]
    return Latency(median_ms=median, p90_ms=p90, iqr_ms=high - low, runs=len(samples))


@contextmanager
def _quiet() -> Iterator[None]:
    threads, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(1)
    gc.disable()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if collecting:
            gc.enable()


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
