"""Ray Train's trainer without what a search does not use: its worker group starts in half the time.

Each helper left out is an actor, so a process, that must be up before the workers may start: two or three
seconds on a small machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.train import BackendConfig
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
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

    def _initialize_and_run_controller(self, **kwargs: Any) -> Any:
        kwargs["scaling_policy"] = _Placed(kwargs["scaling_policy"].scaling_config)
        return super()._initialize_and_run_controller(**kwargs)


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
