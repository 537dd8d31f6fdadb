"""From a PyTorch model to an ONNX graph in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from kdsearch.deploy._quiet import quiet
from kdsearch.deploy.preprocessing import WithPreprocessing
from kdsearch.errors import InputError, first_line
from kdsearch.types import Shape

if TYPE_CHECKING:
    import onnx

#: The oldest version of ONNX's operators that PyTorch's exporter writes by itself; older runtimes read it.
OPSET = 18
IMAGES, LOGITS = "images", "logits"


def write_graph(model: WithPreprocessing, shape: Shape, classes: Sequence[str], path: Path) -> None:
    """Write `model` as a graph from `images` (batch, C, H, W) uint8 to `logits` (batch, classes) float32.

    The size of a batch is left open. Batch norms are folded into the layers before them. The names of the
    classes stand in the file's metadata, as JSON under `classes`.

    Args:
        model: On the CPU, in eval mode.
        shape: Channels, height, width.
        classes: Their names.
        path: Of the file.

    Raises:
        InputError: When PyTorch cannot export the model, as when its way depends on the values it sees.
    """
    example = torch.zeros((2, *shape), dtype=torch.uint8)
    try:
        with quiet("torch.onnx", "torch.export", "onnxscript", "onnx_ir"):
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                input_names=[IMAGES],
                output_names=[LOGITS],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=OPSET,
                verbose=False,
                external_data=False,
            )
    except Exception as error:  # the model's own code may raise anything
        reason = first_line(error.__cause__ or error)
        raise InputError(f"the student cannot be exported to ONNX: {reason[:300]}") from error
    assert program is not None
    save_graph(program.model_proto, path, {"classes": json.dumps(list(classes))})


def save_graph(model: onnx.ModelProto, path: Path, facts: Mapping[str, str]) -> None:
    """Write `model` with `facts` as its metadata, and without what its makers noted for their debugging.

    Those notes (stack traces, shapes of values on the way) make a small student's file twice as large.
    """
    graph = model.graph
    for holder in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del holder.metadata_props[:]
        holder.ClearField("doc_string")
    del graph.value_info[:]
    used = {node.domain for node in graph.node} | {"", "ai.onnx"}
    kept = [(opset.domain, opset.version) for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    for domain, version in kept:
        model.opset_import.add(domain=domain, version=version)
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
