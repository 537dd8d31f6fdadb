"""The form in which a student ships: in PyTorch or as an ONNX graph, at full, half or 8-bit precision.

Every form takes images (B, C, H, W) uint8 as they are stored, and gives logits (B, classes) float32: what
scales the pixels is a part of it.
"""

from __future__ import annotations

from kdsearch.deploy.deploy import calibration, open_form, write_form
from kdsearch.deploy.form import Form, file_of
from kdsearch.deploy.graph import OPSET, write_graph
from kdsearch.deploy.parity import parity
from kdsearch.deploy.quantise import quantise
from kdsearch.deploy.runtime import has_runtime, open_graph
from kdsearch.deploy.shipped import Shipped

__all__ = [
    "OPSET",
    "Form",
    "Shipped",
    "calibration",
    "file_of",
    "has_runtime",
    "open_form",
    "open_graph",
    "parity",
    "quantise",
    "write_form",
    "write_graph",
]
