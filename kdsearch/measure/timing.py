"""Timing single-image forward passes."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import torch
from torch import Tensor, nn

from kdsearch.measure._evaluation import evaluation, image_for
from kdsearch.measure.deployment import threads_of
from kdsearch.types import Shape

WARM_UP = 50
RUNS = 1_000
SECONDS = 2.0
#: A model so slow that it runs fewer times in `SECONDS` is timed this often all the same.
FEWEST_RUNS = 20
_IMAGES = 8
_CPUS = Path("/sys/devices/system/cpu")


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

    Model, thread count, the threads' CPUs and garbage collector are put back after.
    """
    images = [image_for(model, shape, seed=seed) for seed in range(_IMAGES)]
    clock = _cuda_ms if images[0].is_cuda else _cpu_ms
    with evaluation(model), on_threads(threads_of(model)):
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
def on_threads(wanted: int) -> Iterator[None]:
    """So many threads, which stay on as many CPUs: moved to another one a thread finds its caches cold."""
    threads = torch.get_num_threads()
    with _pinned(wanted):
        torch.set_num_threads(wanted)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@contextmanager
def _pinned(wanted: int) -> Iterator[None]:
    """One thread on the CPU it is on, or all threads of this process on `wanted` CPUs; nothing where the
    system has no such thing.

    All of them, because which ones PyTorch or ONNX Runtime computes with cannot be told, nor when they began.
    """
    this, before, current = threading.get_native_id(), _allowed(), _current_cpu()
    if this not in before or current is None:
        yield
        return
    _keep_on(dict.fromkeys([this] if wanted == 1 else before, _choose(current, before[this], wanted)))
    try:
        yield
    finally:
        # A thread that began meanwhile was kept on what its parent was.
        _keep_on({thread: before.get(thread, before[this]) for thread in _allowed()})


def _allowed() -> dict[int, set[int]]:
    """The CPUs that each thread of this process may run on; nothing where the system does not tell."""
    found: dict[int, set[int]] = {}
    with suppress(FileNotFoundError, AttributeError):
        for path in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                found[int(path.name)] = os.sched_getaffinity(int(path.name))
    return found


def _current_cpu() -> int | None:
    """The CPU that this thread is on."""
    try:
        # The 39th field of the kernel's account of a thread, whose second may hold spaces.
        return int(Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()[36])
    except (OSError, IndexError, ValueError):
        return None


def _keep_on(cpus: Mapping[int, set[int]]) -> None:
    """Let each thread run on those CPUs alone; one that has ended is passed over."""
    for thread, own in cpus.items():
        with suppress(OSError):
            os.sched_setaffinity(thread, own)


def _choose(current: int, allowed: set[int], wanted: int, system: Path = _CPUS) -> set[int]:
    """The current CPU and others of the `allowed` ones, up to `wanted`: first those of cores of their own."""
    ordered = [current, *sorted(allowed - {current})]
    cores = [_core(system, cpu) for cpu in ordered]
    alone = [cpu for place, cpu in enumerate(ordered) if cores[place] not in cores[:place]]
    return set([*alone, *(cpu for cpu in ordered if cpu not in alone)][:wanted])


def _core(system: Path, cpu: int) -> str:
    """The CPUs of one core, as `0,4`: two threads of one core take turns."""
    path = system / f"cpu{cpu}" / "topology" / "thread_siblings_list"
    return path.read_text().strip() if path.exists() else str(cpu)


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
