"""Reaching a Ray cluster, or starting one here, and seeing what it can place."""

from __future__ import annotations

import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kdsearch.errors import InputError, first_line
from kdsearch.spec import Compute, Spec
from kdsearch.storage import address_of
from kdsearch.tune.autoscaling import added, autoscaler
from kdsearch.tune.slots import HEAD, Slots, quiet_ray

_SECONDS = 5.0
_PORTS = {"ray": 10001, "http": 80, "https": 443}
#: What every node has; all else is a kind that its owner gave it, or `accelerator_type:…`.
_USUAL = ("CPU", "GPU", "memory", "object_store_memory")
#: Bytes, fewer than any worker was seen to take: 0.75 GB resident on a CPU, of which libraries are shared.
_WORKER = 0.5e9

Node = Mapping[str, float]
"""The resources of one node, by Ray's names for them."""


@dataclass(frozen=True)
class Cluster:
    """The nodes that there are, and those that an autoscaler says it may add."""

    nodes: Sequence[Node]
    more: bool = False
    """Whether others may be added, of which nothing is known."""


def is_job(address: str | None) -> bool:
    """Whether a search at `address` is sent there as a job, rather than driven from this process."""
    return address is not None and (address == "auto" or "://" in address)


def check_address(address: str | None) -> None:
    """Raise InputError, before Ray is imported, for an address where nothing answers."""
    if address is None or address in ("auto", "local"):
        return
    host, port = _endpoint(address)
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        raise InputError(f"--address {address}: no Ray answers there ({error.strerror or error})") from None


def _endpoint(address: str) -> tuple[str, int]:
    scheme = address.partition("://")[0] if "://" in address else ""
    try:
        parts = urlsplit(address if scheme else f"//{address}")
        host, port = parts.hostname, parts.port or _PORTS.get(scheme)
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.username is not None:
        raise InputError("--address: it holds a user or a password; Ray's token is read from RAY_AUTH_TOKEN")
    if not host or not port or scheme not in ("", *_PORTS):
        raise InputError(
            f"--address {address}: expected HOST:PORT, ray://HOST:PORT, http://HOST:8265 or auto"
        )
    return host, port


def check_this_machine(spec: Spec, address: str | None) -> None:
    """Raise InputError when Ray would be started here and could place no trial, or run no form of it."""
    ray = sys.modules.get("ray")
    if address is None and not (ray and ray.is_initialized()):
        import torch

        from kdsearch.distill.ship import check_runtime

        gpus = torch.cuda.device_count() if spec.compute.gpus_per_worker else 0
        # Of what kind its node is, Ray tells when it is up.
        groups(timed_here(spec), Cluster([{"CPU": float(os.cpu_count() or 1), "GPU": float(gpus)}]))
        check_runtime(spec)


@contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Connect to Ray, or start it here; yields what it can place, now or once its autoscaler has added nodes.

    Ray that was running before goes on.
    """
    if address is not None and "://" in address:
        raise InputError(f"{address} takes jobs: `kdsearch search --address {address}` submits one")
    quiet_ray()
    import ray

    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(
                # Left to itself Ray would join whatever `ray start` noted last, dead or alive.
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
            )
        except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            where = f"--address {address}: no Ray answers there" if address else "Ray can't be started here"
            raise InputError(f"{where} ({first_line(error)})") from None
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    # It would log tracebacks of errors that we tell in a line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        yield Cluster(_alive()) if ours and address in (None, "local") else _cluster()
    finally:
        if ours:
            ray.shutdown()


def _alive() -> list[Node]:
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _cluster() -> Cluster:
    alive, config = _alive(), autoscaler()
    if config is None:
        return Cluster(alive)
    if (others := added(config)) is not None:
        return Cluster([*(node for node in alive if HEAD in node), *others])
    return Cluster(alive, more=len(alive) <= config.get("max_workers", len(alive)))


def check_shared(storage: Path) -> None:
    """Raise InputError unless every node finds what this process writes to a folder; a bucket is shared."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    if (address := address_of(storage)) is not None:
        if not address.startswith("file://"):
            return
        storage = Path(urlsplit(address).path)
    if len(nodes) < 2:
        return
    made = not storage.exists()
    storage.mkdir(parents=True, exist_ok=True)
    look = ray.remote(num_cpus=0)(os.path.exists)
    with tempfile.TemporaryDirectory(dir=storage, prefix=".shared-") as probe:
        seen = ray.get(
            [
                look.options(
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                ).remote(str(Path(probe).absolute()))
                for node in nodes
            ]
        )
    blind = [node["NodeManagerHostname"] for node, there in zip(nodes, seen, strict=True) if not there]
    if blind:
        if made:
            storage.rmdir()
        raise InputError(
            f"compute.storage: {storage.absolute()} is another folder on {', '.join(sorted(blind))}; "
            f"a cluster of {len(nodes)} nodes needs one that all of them share, as on NFS, or a bucket"
        )


def groups(spec: Spec, cluster: Cluster) -> int:
    """How many worker groups to start: what was asked for, and no more than is known to find a place.

    Raises:
        InputError: When not even one will ever be placed, or no node is of the kind that measures.
    """
    try:
        fit = _fitting(spec, cluster.nodes)
    except InputError:
        if not cluster.more:
            raise
        fit = 1
    wanted = spec.search.concurrent or fit
    trials = spec.search.trials + 2 * spec.search.baselines
    return max(1, min(wanted if cluster.more else min(fit, wanted), max(trials, len(spec.teachers))))


def start_slots(
    spec: Spec, cluster: Cluster, storage: Path, folder: Path, note: Callable[[str], None]
) -> Slots:
    """The worker groups of a search in a folder, as many as `groups` says. Raises as it does."""
    count = groups(spec, cluster)
    if cluster.more:
        there = f"each needs {_need(spec.compute)}, and now there are {_have(cluster.nodes)}"
        note(
            "which nodes the cluster may add is not known; "
            f"trials at once: {count}, or what search.concurrent says; {there}"
        )
    return Slots(spec.compute, count, storage, folder / "train", note, measuring_resources(spec))


def _fitting(spec: Spec, nodes: Sequence[Node]) -> int:
    """How many worker groups the nodes hold. Raises InputError when it is none."""
    workers = sum(_fit(spec.compute, node) for node in nodes)
    if measuring := measuring_resources(spec):
        workers = _beside(spec, measuring, nodes)
    fit = workers // spec.compute.workers
    if fit < 1:
        beside = " beside the worker that measures" if spec.measure.resources else ""
        raise InputError(
            f"compute: a trial needs {_need(spec.compute)}{beside}, and there are {_have(nodes)}"
        )
    return fit


def timed_here(spec: Spec) -> Spec:
    """The spec without the kind of node that times students."""
    return spec.model_copy(update={"measure": spec.measure.model_copy(update={"resources": {}})})


def measuring_resources(spec: Spec) -> dict[str, float]:
    """What the worker that measures takes of its node; nothing where students are timed in training."""
    return {"CPU": 1.0, **spec.measure.resources} if spec.measure.resources else {}


def _beside(spec: Spec, measuring: Mapping[str, float], nodes: Sequence[Node]) -> int:
    """How many workers go beside the one that measures, wherever that is placed."""
    able = [
        index for index, node in enumerate(nodes) if all(node.get(k, 0) >= v for k, v in measuring.items())
    ]
    if not able:
        need = ", ".join(f"{key}: {amount:g}" for key, amount in measuring.items())
        raise InputError(f"measure.resources: no node has {need}; there are {_have(nodes)}")
    fits = [_fit(spec.compute, node) for node in nodes]
    left = [{k: v - measuring.get(k, 0) for k, v in nodes[index].items()} for index in able]
    return sum(fits) - max(
        fits[index] - _fit(spec.compute, node) for index, node in zip(able, left, strict=True)
    )


def _fit(compute: Compute, node: Node) -> int:
    """How many workers go onto one node: a worker is never divided among two."""
    fits = [node.get("CPU", 0) / compute.cpus_per_worker]
    if compute.gpus_per_worker:
        fits.append(node.get("GPU", 0) / compute.gpus_per_worker)
    if "memory" in node:
        fits.append(node["memory"] / _WORKER)
    return int(min(fits) + 1e-9)


def _need(compute: Compute) -> str:
    need = f"{compute.workers} x {compute.cpus_per_worker:g} CPUs"
    if compute.gpus_per_worker:
        need += f" and {compute.workers} x {compute.gpus_per_worker:g} GPUs"
    return need + (", each worker on one node" if compute.workers > 1 else "")


def _have(nodes: Sequence[Node]) -> str:
    kinds = [_kind(node) for node in nodes]
    if len(kinds) == 1:
        return f"{kinds[0]} in all"
    counts = [f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)]
    return f"{len(kinds)} nodes: {', '.join(counts)}" if counts else "no nodes"


def _kind(node: Node) -> str:
    short = node.get("memory", _WORKER) < _WORKER
    memory = f" and {node['memory'] / 1e9:.2g} GB of memory, less than a worker takes" if short else ""
    own = "".join(
        f" and {amount:g} {name}"
        for name, amount in sorted(node.items())
        if name not in _USUAL and not name.startswith("node:")
    )
    return f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs{own}{memory}"
