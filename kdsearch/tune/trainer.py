"""Ray Train's trainer without what a search does not use: its worker group starts in a third of the time.

Each helper left out is an actor, so a process, that must be up before the workers may start: two or three
seconds on a small machine. The controller, which places the workers and restarts the dead, is not left out
but runs in the calling thread: it is of use only as long as the search itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import ray
from ray.train import BackendConfig, Result
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import Worker, WorkerGroup
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

#: One shares out Ray Data sets, of which there are none. The other frees resources after a controller that
#: died while its job goes on; here the job is the search, and they go with it.
_UNUSED = ("DatasetsCallback", "PlacementGroupCleanerCallback")


class LeanTrainer(DataParallelTrainer):  # type: ignore[misc]
    """A `TorchTrainer` whose worker group starts sooner.

    A group of one needs no process group, and so its controller no torch.
    """

    def __init__(
        self, train_loop: Callable[[dict[str, Any]], None], *, workers: int, **arguments: Any
    ) -> None:
        super().__init__(train_loop, backend_config=_backend(workers), **arguments)

    def _create_default_callbacks(self) -> list[Any]:
        return [c for c in super()._create_default_callbacks() if type(c).__name__ not in _UNUSED]

    def _initialize_and_run_controller(self, **kwargs: Any) -> Result:
        kwargs["scaling_policy"] = _Placed(kwargs["scaling_policy"].scaling_config)
        controller = _Controller(**kwargs)
        asyncio.run(controller.run())
        return controller.get_result()


class _WorkerGroup(WorkerGroup):  # type: ignore[misc]
    def _init_train_context_on_workers(
        self, workers: list[Worker], sync_actor: Any, arguments: dict[str, list[Any]]
    ) -> None:
        """As its parent, but for the controller's actor: there is none, and no worker asks for it."""
        ray.get(
            [
                worker.actor.init_train_context.remote(
                    train_run_context=self._train_run_context,
                    distributed_context=worker.distributed_context,
                    synchronization_actor=sync_actor,
                    storage_context=self._storage_context,
                    worker_callbacks=self._worker_callbacks_to_propagate,
                    controller_actor=None,
                    **{name: values[index] for name, values in arguments.items()},
                )
                for index, worker in enumerate(workers)
            ]
        )


class _Controller(TrainController):  # type: ignore[misc]
    worker_group_cls = _WorkerGroup


class _Placed(FixedScalingPolicy):  # type: ignore[misc]
    """A group that asks for its resources by its placement group alone, which Ray's autoscaler sees too."""

    def after_controller_start(self, train_run_context: Any) -> None:
        """No coordinator among data sets and runs is asked."""

    def _maybe_send_resource_request(self) -> None:
        """Nothing to send."""


def _backend(workers: int) -> BackendConfig:
    if workers == 1:
        return BackendConfig()
    from ray.train.torch import TorchConfig

    return TorchConfig()
