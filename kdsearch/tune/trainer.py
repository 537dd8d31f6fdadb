"""Ray Train's trainer without the helpers that a search does not use."""

from __future__ import annotations

from typing import Any

from ray.train.torch import TorchTrainer

#: Each starts an actor, so a process, before the workers may: a second or two each on a small machine. One
#: shares out Ray Data sets, of which there are none. The other frees resources after a controller that died
#: while its job goes on; here the job is the search, and they go with it.
_UNUSED = ("DatasetsCallback", "PlacementGroupCleanerCallback")


class LeanTrainer(TorchTrainer):  # type: ignore[misc]
    """A `TorchTrainer` whose worker group starts sooner."""

    def _create_default_callbacks(self) -> list[Any]:
        return [c for c in super()._create_default_callbacks() if type(c).__name__ not in _UNUSED]
