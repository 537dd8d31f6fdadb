"""What nodes a cluster has, and how many worker groups of a search fit on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kdsearch.errors import InputError
from kdsearch.spec import Compute, Spec

#: Resources that Ray gives every node; all others are the owner's own, or `accelerator_type:…`.
_USUAL = ("CPU", "GPU", "memory", "object_store_memory")
#: Bytes that a worker takes at the least: 0.75 GB resident were seen on a CPU, of which libraries are shared.
_WORKER = 0.5e9

Node = Mapping[str, float]
"""The resources of one node, by Ray's names for them."""


@dataclass(frozen=True)
class Cluster:
    """The nodes of a cluster, together with those that its autoscaler may add."""

    nodes: Sequence[Node]
    more: bool = False
    """Whether nodes may be added of which nothing is known."""


def groups(spec: Spec, cluster: Cluster) -> int:
    """How many worker groups to start: as many as were asked for, but no more than are known to fit.

    Raises:
        InputError: When not even one can ever be placed, or when no node can measure.
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


def _fitting(spec: Spec, nodes: Sequence[Node]) -> int:
    """How many worker groups fit on the nodes. Raises InputError when none does."""
    workers = sum(_fit(spec.compute, node) for node in nodes)
    if measuring := measuring_resources(spec):
        workers = _beside(spec, measuring, nodes)
    fit = workers // spec.compute.workers
    if fit < 1:
        beside = " beside the worker that measures" if spec.measure.resources else ""
        raise InputError(f"compute: a trial needs {need(spec.compute)}{beside}, and there are {have(nodes)}")
    return fit


def timed_here(spec: Spec) -> Spec:
    """The spec with students timed by the workers that train them."""
    return spec.model_copy(update={"measure": spec.measure.model_copy(update={"resources": {}})})


def measuring_resources(spec: Spec) -> dict[str, float]:
    """The resources of the worker that measures; none where each worker times what it trains."""
    return {"CPU": 1.0, **spec.measure.resources} if spec.measure.resources else {}


def _beside(spec: Spec, measuring: Mapping[str, float], nodes: Sequence[Node]) -> int:
    """How many workers fit beside the one that measures, in the worst case of where that is placed."""
    able = [
        index for index, node in enumerate(nodes) if all(node.get(k, 0) >= v for k, v in measuring.items())
    ]
    if not able:
        wanted = ", ".join(f"{key}: {amount:g}" for key, amount in measuring.items())
        raise InputError(f"measure.resources: no node has {wanted}; there are {have(nodes)}")
    fits = [_fit(spec.compute, node) for node in nodes]
    left = [{k: v - measuring.get(k, 0) for k, v in nodes[index].items()} for index in able]
    return sum(fits) - max(
        fits[index] - _fit(spec.compute, node) for index, node in zip(able, left, strict=True)
    )


def _fit(compute: Compute, node: Node) -> int:
    """How many workers fit on one node: a worker is never split across two."""
    fits = [node.get("CPU", 0) / compute.cpus_per_worker]
    if compute.gpus_per_worker:
        fits.append(node.get("GPU", 0) / compute.gpus_per_worker)
    if "memory" in node:
        fits.append(node["memory"] / _WORKER)
    return int(min(fits) + 1e-9)


def need(compute: Compute) -> str:
    """The resources of one worker group, in words."""
    text = f"{compute.workers} x {compute.cpus_per_worker:g} CPUs"
    if compute.gpus_per_worker:
        text += f" and {compute.workers} x {compute.gpus_per_worker:g} GPUs"
    return text + (", each worker on one node" if compute.workers > 1 else "")


def have(nodes: Sequence[Node]) -> str:
    """The resources of some nodes, in words."""
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
