"""ONNX Runtime behind the same call as PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from kdsearch.deploy.graph import IMAGES
from kdsearch.errors import InputError

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def has_runtime(device: torch.device | str) -> bool:
    """Whether this build of ONNX Runtime knows the kind of `device`."""
    import onnxruntime

    return _PROVIDERS.get(torch.device(device).type) in onnxruntime.get_available_providers()


def runtime_name() -> str:
    """ONNX Runtime with its version."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def open_graph(path: Path, *, threads: int, device: torch.device | str = "cpu") -> Callable[[Tensor], Tensor]:
    """The function of an ONNX file: images (B, C, H, W) uint8 to logits (B, classes), both on the CPU.

    Args:
        path: Of the file.
        threads: That a call may use.
        device: Where it computes; `has_runtime` knows whether it can.

    Raises:
        InputError: When the file is missing, damaged or no graph for images.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    try:
        provider = _PROVIDERS[torch.device(device).type]
        session = onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # its errors share no base
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be opened by ONNX Runtime: {reason[:300]}") from error
    inputs = [(given.name, given.type, len(given.shape)) for given in session.get_inputs()]
    if inputs != [(IMAGES, "tensor(uint8)", 4)]:
        raise InputError(f"{path} takes {inputs}, and not '{IMAGES}' (B, C, H, W) of bytes: it is not ours")

    def logits(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {IMAGES: images.numpy()})[0])

    return logits
