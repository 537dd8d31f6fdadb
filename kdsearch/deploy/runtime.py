"""ONNX Runtime behind the same call as PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdsearch.deploy.graph import IMAGES
from kdsearch.errors import InputError, first_line

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def has_runtime(device: torch.device | str) -> bool:
    """Whether this build of ONNX Runtime knows the kind of `device`."""
    import onnxruntime

    return _PROVIDERS.get(torch.device(device).type) in onnxruntime.get_available_providers()


def runtime_name() -> str:
    """ONNX Runtime with its version."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


@dataclass(frozen=True)
class Graph:
    """An open ONNX file: a function of images (B, C, H, W) uint8 to logits (B, classes), both on the CPU."""

    session: Any

    @property
    def device(self) -> torch.device:
        """Where it computes: the CPU also where ONNX Runtime could not load what a GPU needs."""
        return _device_of(self.session.get_providers())

    def __call__(self, images: Tensor) -> Tensor:
        """Logits of images."""
        return torch.from_numpy(self.session.run(None, {IMAGES: images.numpy()})[0])


def _device_of(providers: list[str]) -> torch.device:
    """The device of the first of a session's providers, which gets all that it can compute."""
    kinds = {provider: kind for kind, provider in _PROVIDERS.items()}
    return torch.device(kinds[providers[0]])


def open_graph(path: Path, *, threads: int, device: torch.device | str = "cpu") -> Graph:
    """Open an ONNX file.

    Args:
        path: Of the file.
        threads: That a call may use.
        device: Where it should compute; where it does, the graph tells.

    Raises:
        InputError: When the file is missing, damaged or no graph for images.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    try:
        place = torch.device(device)
        provider = (_PROVIDERS[place.type], {"device_id": place.index} if place.index else {})
        session = onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # its errors share no base
        reason = first_line(error)
        raise InputError(f"{path} cannot be opened by ONNX Runtime: {reason[:300]}") from error
    inputs = [(given.name, given.type, len(given.shape)) for given in session.get_inputs()]
    if inputs != [(IMAGES, "tensor(uint8)", 4)]:
        raise InputError(
            f"{path} takes {inputs}, not '{IMAGES}' (B, C, H, W) uint8: kdsearch did not write it"
        )
    return Graph(session)
