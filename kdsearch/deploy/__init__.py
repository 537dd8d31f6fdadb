"""The form in which a student ships: in PyTorch or as an ONNX graph, at full, half or 8-bit precision.

Every form takes images (B, C, H, W) uint8 as they are stored, and gives logits (B, classes) float32: what
scales the pixels is a part of it.
"""

from __future__ import annotations

from kdsearch.deploy.deployed import DeployedModel
from kdsearch.deploy.graph import OPSET, write_graph
from kdsearch.deploy.open import open_deployed
from kdsearch.deploy.parity import parity
from kdsearch.deploy.preprocessing import WithPreprocessing
from kdsearch.deploy.quantise import quantise
from kdsearch.deploy.runtime import has_runtime, open_graph
from kdsearch.deploy.write import calibration, file_of, write_deployed

__all__ = [
    "OPSET",
    "DeployedModel",
    "WithPreprocessing",
    "calibration",
    "file_of",
    "has_runtime",
    "open_deployed",
    "open_graph",
    "parity",
    "quantise",
    "write_deployed",
    "write_graph",
]
