"""Made-up teachers for any ensemble, by the names of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kdsearch.registry import Part
from tests.distill.losses.cases import random

CLASSES = 5


def given(teachers: int, batch: int = 6, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    """All that the engine supplies, for `teachers` of which each has larger logits than the one before."""
    scale = torch.arange(1.0, teachers + 1, dtype=torch.float64)[:, None, None]
    return {
        "logits": (scale * random(teachers, batch, CLASSES)).to(dtype),
        "student_logits": random(batch, CLASSES, seed=1).to(dtype),
        "labels": torch.arange(batch) % CLASSES,
        "members": tuple(f"teacher{k}" for k in range(teachers)),
        "classes": CLASSES,
        "temperature": 3.0,
    }


def combine(part: Part, inputs: Mapping[str, Any]) -> tuple[Callable[..., Any], Any]:
    """The strategy that `part` names, built if it is a class, and what it makes of these inputs."""
    call = part.load()
    if isinstance(call, type):
        call = call(**_wanted(call, inputs))
    called = call.forward if isinstance(call, nn.Module) else call
    return call, call(**_wanted(called, inputs))


def weights_of(result: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """The weights that a strategy returned, alone or beside merged logits."""
    return result[1] if isinstance(result, tuple) else result


def _wanted(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: values[p.name] for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
