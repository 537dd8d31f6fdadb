"""The size of the file that ships."""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from kdsearch import models
from kdsearch.registry import register
from kdsearch.types import Shape

#: The dtypes of a safetensors file in the order in which their tensors are laid out.
_DTYPES: dict[torch.dtype, str] = {
    torch.uint64: "U64",
    torch.int64: "I64",
    torch.float64: "F64",
    torch.complex64: "C64",
    torch.float32: "F32",
    torch.uint32: "U32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.uint16: "U16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_ORDER = {dtype: place for place, dtype in enumerate(_DTYPES)}


@register("objective", direction="minimize", unit="MB", label="Size", known="architecture")
def size_mb(model: nn.Module, shape: Shape) -> float:
    """Megabytes (10^6 bytes) of the file that `kdsearch.models.save_weights` writes of `model`.

    Exact to the byte, yet no tensor is read: works on the meta device. A tensor with several names counts
    once.

    Raises:
        KeyError: For a dtype that the format lays out otherwise (float8).
    """
    return _bytes(model.state_dict()) / 1e6


def _bytes(state: dict[str, Tensor]) -> int:
    aliases = models.aliases_in(state)
    kept = state.keys() - aliases.keys()
    header: dict[str, object] = {"__metadata__": aliases} if aliases else {}
    end = 0
    for name in sorted(kept, key=lambda name: (_ORDER[state[name].dtype], name.encode())):
        start, end = end, end + state[name].nbytes
        header[name] = {
            "dtype": _DTYPES[state[name].dtype],
            "shape": list(state[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # Eight bytes of length, then the header padded so that the data starts at a multiple of eight.
    return 8 + -(-len(text) // 8) * 8 + end
