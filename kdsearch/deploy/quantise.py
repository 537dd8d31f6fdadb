"""8-bit weights and arithmetic, after training."""

from __future__ import annotations

import tempfile
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kdsearch.deploy._quiet import quiet
from kdsearch.deploy.graph import IMAGES, save_graph

if TYPE_CHECKING:
    import onnx

_BATCH = 64


def quantise(source: Path, images: Tensor, path: Path) -> None:
    """Write the ONNX graph of `source` to `path` with 8-bit weights, one scale for each output channel.

    A graph with convolutions is quantised statically: the ranges of its activations are those seen on
    `images` (N, C, H, W) uint8. One without is quantised dynamically: the input of a linear layer gets its
    range at run time, over all images of a call. Pixels are scaled in float32 in both.

    Weights use 7 of their 8 bits. Processors without VNNI add products of 8-bit numbers in 16 bits, which
    overflow otherwise, and figures taken here would not be those of the machine that a student ships to.

    Jacob et al. 2018, arXiv:1712.05877; per channel as in Krishnamoorthi 2018, arXiv:1806.08342.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    common: dict[str, Any] = {"per_channel": True, "reduce_range": True, "weight_type": QuantType.QInt8}
    with tempfile.TemporaryDirectory() as folder, quiet(""):
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "quantised.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        common["nodes_to_exclude"] = _scaling(graph)
        if any(node.op_type in ("Conv", "ConvTranspose") for node in graph.node):
            reader = _Reader(images)
            quantize_static(prepared, quantised, reader, activation_type=QuantType.QUInt8, **common)
        else:
            quantize_dynamic(prepared, quantised, **common)
        facts = {entry.key: entry.value for entry in onnx.load(source).metadata_props}
        save_graph(onnx.load(quantised), path, facts)


def _scaling(graph: onnx.GraphProto) -> list[str]:
    """The names of the nodes that scale the pixels: the first ones of a graph."""
    first = takewhile(lambda node: node.op_type in ("Cast", "Mul", "Add"), graph.node)
    return [node.name for node in first]


class _Reader:
    """The calibration images as ONNX Runtime asks for them: batch after batch, then None."""

    def __init__(self, images: Tensor) -> None:
        self._batches = iter(torch.split(images, _BATCH))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {IMAGES: batch.numpy()}
