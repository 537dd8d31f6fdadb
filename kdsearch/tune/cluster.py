"""Connecting to a Ray cluster, or starting one here, and starting the worker groups of a search on it."""

from __future__ import annotations

import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from kdsearch.errors import InputError, first_line
from kdsearch.spec import Spec
from kdsearch.storage import address_of
from kdsearch.tune.autoscaling import addable_nodes, autoscaler
from kdsearch.tune.capacity import Cluster, Node, groups, have, measuring_resources, need, timed_here
from kdsearch.tune.slots import HEAD, Slots, quiet_ray

_SECONDS = 5.0
_PORTS = {"ray": 10001, "http": 80, "https": 443}


def is_job(address: str | None) -> bool:
    """Whether a search at `address` is sent there as a job, rather than driven from this process."""
    return address is not None and (address == "auto" or "://" in address)


def check_address(address: str | None) -> None:
    """Raise InputError for an address where nothing answers, without importing Ray."""
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
    """Raise InputError when Ray would be started here and this machine could not run a trial."""
    ray = sys.modules.get("ray")
    if address is None and not (ray and ray.is_initialized()):
        import torch

        from kdsearch.distill.ship import check_runtime

        gpus = torch.cuda.device_count() if spec.compute.gpus_per_worker else 0
        # The node's own resources are known only once Ray is up.
        groups(timed_here(spec), Cluster([{"CPU": float(os.cpu_count() or 1), "GPU": float(gpus)}]))
        check_runtime(spec)


@contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Connect to Ray, or start it here, and yield the cluster's nodes. Ray that ran before keeps running."""
    if address is not None and "://" in address:
        raise InputError(f"{address} takes jobs: `kdsearch search --address {address}` submits one")
    quiet_ray()
    import ray

    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(
                # By default Ray would join the cluster that `ray start` noted last, dead or alive.
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
    # It would log tracebacks of errors that the search reports in a line.
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
    if (others := addable_nodes(config)) is not None:
        return Cluster([*(node for node in alive if HEAD in node), *others])
    return Cluster(alive, more=len(alive) <= config.get("max_workers", len(alive)))


def check_shared(storage: Path) -> None:
    """Raise InputError unless all nodes see the folder that this process sees; a bucket is always shared."""
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


def start_slots(
    spec: Spec, cluster: Cluster, storage: Path, folder: Path, note: Callable[[str], None]
) -> Slots:
    """Start the worker groups of the search in `folder`, as many as `groups` says. Raises as it does."""
    count = groups(spec, cluster)
    if cluster.more:
        there = f"each needs {need(spec.compute)}, and now there are {have(cluster.nodes)}"
        note(
            "it is not known which nodes the cluster may add; "
            f"trials at once: {count}, or what search.concurrent says; {there}"
        )
    return Slots(spec.compute, count, storage, folder / "train", note, measuring_resources(spec))
