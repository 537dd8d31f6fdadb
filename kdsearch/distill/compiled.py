"""A student whose training steps are compiled, in trials long enough for that to pay."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn

_log = logging.getLogger(__name__)

#: A trial of so many steps is compiled. The first of an architecture waits for the compiler, for as long as
#: a thousand or two of its steps take; later ones of the same process find what it made.
STEPS = 2000
#: Architectures, precisions and sets of hinted layers of one model class that a process keeps compiled.
_KEPT = 256


def compiled(student: nn.Module) -> Callable[[Tensor], Tensor]:
    """The forward pass of a student, compiled by `torch.compile` when it first runs, with its backward pass.

    It maps images (B, C, H, W) to logits (B, classes), and has no second derivative.
    Where it cannot be compiled torch warns and runs it as it is.
    """
    from torch import _dynamo, _inductor

    device = next(student.parameters()).device
    if device.type == "cpu" and not shutil.which(os.environ.get("CXX", "g++")):
        _log.warning(
            "compute.compile: there is no C++ compiler here (g++, or $CXX): students are not compiled"
        )
        return student.__call__  # a module of its own would be a part of the checkpoint
    _dynamo.config.recompile_limit = _KEPT
    _dynamo.config.accumulated_recompile_limit = _KEPT
    _dynamo.config.suppress_errors = True
    # Hooks on hinted layers differ from trial to trial.
    _dynamo.config.skip_nnmodule_hook_guards = False
    # No pool of processes, which would outlive the compilation.
    _inductor.config.compile_threads = 1
    forward: Callable[[Tensor], Tensor] = torch.compile(student.forward, dynamic=False)
    return forward
