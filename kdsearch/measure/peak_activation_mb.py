"""The memory that activations take."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kdsearch.measure._evaluation import evaluation, image_for
from kdsearch.registry import register
from kdsearch.types import Shape


@register("objective", direction="minimize", unit="MB", label="Peak activations", known="architecture")
def peak_activation_mb(model: nn.Module, shape: Shape) -> float:
    """Megabytes (10^6 bytes) of the tensors alive at once, at the most, while one image passes `model`.

    The image counts, parameters and buffers do not, and neither does scratch space within an operator. A
    tensor is alive until Python lets go of it, as in PyTorch's eager mode; a compiler may do with less. Works
    on the meta device.
    """
    alive = _Alive(tensor.untyped_storage()._cdata for tensor in chain(model.parameters(), model.buffers()))
    with evaluation(model):
        image = image_for(model, shape)
        alive.add(image)
        with alive:
            model(image)
    return alive.peak / 1e6


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The bytes of all storages that operators return, now and at the most, apart from those `known`."""

    def __init__(self, known: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known = frozenset(known)
        self._seen: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        return result

    def add(self, tensor: Tensor) -> None:
        """Count the storage of `tensor`, unless it is counted already."""
        storage = tensor.untyped_storage()
        # The address of the storage object: on the meta device there is no data to have one.
        address, size = storage._cdata, storage.nbytes()
        if address not in self._known and address not in self._seen:
            self._seen[address] = weakref.ref(storage, partial(self._gone, address, size))
            self.now += size
            self.peak = max(self.peak, self.now)

    def _gone(self, address: int, size: int, _: object) -> None:
        del self._seen[address]
        self.now -= size
