"""Reaching a Ray cluster, or starting one here, and seeing what it can place."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kdsearch.errors import InputError
from kdsearch.spec import Compute, Spec
from kdsearch.tune.slots import quiet_ray

_SECONDS = 5.0


def check_address(address: str | None) -> None:
    """Raise InputError, before Ray is imported, for an address where nothing answers."""
    if address is None or address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").partition(":")
    if not host or not port.isdigit():
        raise InputError(f"--address {address}: expected HOST:PORT, ray://HOST:PORT or auto")
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    except OSError as error:
        raise InputError(f"--address {address}: no Ray answers there ({error.strerror or error})") from None


def check_this_machine(spec: Spec, address: str | None) -> None:
    """Raise InputError when Ray would be started here and could place no trial."""
    if address is None:
        import torch

        gpus = torch.cuda.device_count() if spec.compute.gpus_per_worker else 0
        groups(spec, {"CPU": float(os.cpu_count() or 1), "GPU": float(gpus)})


@contextmanager
def connected(address: str | None) -> Iterator[Mapping[str, float]]:
    """Connect to Ray, or start it here; yields what the cluster has. Ray that was running before goes on."""
    quiet_ray()
    import ray

    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(
                # Left to itself Ray would join whatever `ray start` noted last, dead or alive.
                address=address or os.environ.get("RAY_ADDRESS") or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"--address {address}: no Ray answers there ({error})") from None
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    # It would log tracebacks of errors that we tell in a line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        yield ray.cluster_resources()
    finally:
        if ours:
            ray.shutdown()


def groups(spec: Spec, resources: Mapping[str, float]) -> int:
    """How many worker groups to start: what was asked for, at most what can be placed.

    Raises:
        InputError: When not even one can be placed.
    """
    fit = _fit(spec.compute, resources)
    if fit < 1:
        need = f"{spec.compute.workers} x {spec.compute.cpus_per_worker:g} CPUs"
        if spec.compute.gpus_per_worker:
            need += f" and {spec.compute.workers} x {spec.compute.gpus_per_worker:g} GPUs"
        have = f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs"
        raise InputError(f"compute: a trial needs {need}, and there are {have} in all")
    trials = spec.search.trials + 2 * spec.search.baselines
    return max(1, min(fit, spec.search.concurrent or fit, max(trials, len(spec.teachers))))


def _fit(compute: Compute, resources: Mapping[str, float]) -> int:
    fits = [resources.get("CPU", 0) / (compute.workers * compute.cpus_per_worker)]
    if compute.gpus_per_worker:
        fits.append(resources.get("GPU", 0) / (compute.workers * compute.gpus_per_worker))
    return int(min(fits) + 1e-9)
