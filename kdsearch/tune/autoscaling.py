"""What an autoscaler may add to a cluster.

Ray's own `get_cluster_config` would say so, but no autoscaler of Ray 2.60 reports to it. So this reads what
the autoscaler reads: the file that `ray up` left on the head, or the RayCluster of Kubernetes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdsearch.tune.slots import HEAD

#: Where a group of nodes has no bound: more than any search uses.
_MANY = 1000

Config = Mapping[str, Any]
"""How an autoscaler was set up, by the keys of a file for `ray up`; empty where that cannot be read."""


def autoscaler() -> Config | None:
    """The config of the connected cluster's autoscaler, None where it has none. Looks on the head."""
    import ray

    address = ray.get_runtime_context().gcs_address
    look = ray.remote(num_cpus=0, resources={HEAD: 0.001})(read_here)
    found: Config | None = ray.get(look.remote(address))
    return found


def read_here(address: str) -> Config | None:
    """The config of the autoscaler beside a head at `address` that runs on this machine, or in this pod."""
    try:
        # KubeRay starts no monitor of Ray's where an autoscaler runs in a container of its own.
        if "--no-monitor" in os.environ.get("KUBERAY_GEN_RAY_START_CMD", ""):
            return _of_pod()
        return None if (path := _file(address)) is None else _of_file(path)
    except Exception:  # files, Kubernetes, and Ray's ways to read them: whichever fails, it is not known
        return {}


def addable_nodes(config: Config) -> list[dict[str, float]] | None:
    """The resources of every node that may be added, at most; None where the config does not tell."""
    groups = (config.get("available_node_types") or {}).values()
    kinds = [(group.get("max_workers", 0), group.get("resources")) for group in groups]
    if not kinds or any(count and not resources for count, resources in kinds):
        return None
    most = min(config.get("max_workers", _MANY), _MANY)
    return [dict(resources or {}) for count, resources in kinds for _ in range(min(count, most))]


def _file(address: str) -> str | None:
    """The file that `ray start --head --autoscaling-config=…` was given, from the process that reads it."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_text(errors="replace").split("\0")
        except OSError:  # it has just ended
            continue
        if f"--gcs-address={address}" in words and any(word.endswith("monitor.py") for word in words):
            flag = "--autoscaling-config="
            return next((word.removeprefix(flag) for word in words if word.startswith(flag)), None)
    return None


def _of_file(path: str) -> Config:
    import yaml
    from ray.autoscaler._private.util import fill_node_type_min_max_workers

    config: dict[str, Any] = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    fill_node_type_min_max_workers(config)
    return config


def _of_pod() -> Config:
    """The config that Ray's autoscaler makes of the RayCluster, which KubeRay lets the head's pod read."""
    from ray.autoscaler._private.kuberay.autoscaling_config import AutoscalingConfigProducer

    name, namespace = os.environ["RAY_CLUSTER_NAME"], os.environ["RAY_CLUSTER_NAMESPACE"]
    config: Config = AutoscalingConfigProducer(name, namespace)()
    return config
