"""Whether an export, read back, computes what the trained student does."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.errors import KdsearchError
from kdsearch.export import alone
from kdsearch.export.files import GRAPH
from kdsearch.export.load import prepare, trained
from kdsearch.filenames import CONFIG, WEIGHTS
from kdsearch.spec import load_spec

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Largest difference between logits of PyTorch and of ONNX Runtime, relative to the largest logit: both sum
#: float32 products, in another order. A ResNet-110 stays below a tenth of it.
_TOLERANCE = 1e-3
#: How long a graph may take: seconds, and times what PyTorch took.
_SECONDS, _SLOWER = 120.0, 100.0


def verify(folder: Path, student: nn.Module, described: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Run everything in `folder` that computes logits on the same images, and compare.

    The student is made anew from the config and the weights. Each graph runs in a process of its own that can
    import NumPy and ONNX Runtime, and nothing else.

    Args:
        folder: The files of an export.
        student: Trained, in eval mode.
        described: `shape`, `mean`, `std` and `classes` of the data.

    Returns:
        The parity of each graph with the trained student, by file; see `kdsearch.deploy.parity`.

    Raises:
        KdsearchError: When the weights do not give the same logits bit for bit, those of a graph at full
            precision differ by more than rounding explains, or a graph cannot be run.
    """
    import torch

    from kdsearch.deploy import parity

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, *described["shape"]), generator=generator, dtype=torch.uint8)
    again = trained(load_spec(folder / CONFIG).tree(), described, folder / WEIGHTS)
    pixels = prepare(described)(images)
    with torch.inference_mode():
        began = time.perf_counter()
        expected = student(pixels)
        patience = _SECONDS + _SLOWER * (time.perf_counter() - began)
        if not torch.equal(expected, again(pixels)):
            raise KdsearchError("the export, read back, gives logits that differ from the student's")
    found = {}
    for graph in sorted(folder.glob("*.onnx")):
        logits = _run_alone(graph, images, patience)
        found[graph.name] = parity(expected, logits)
        bound = _TOLERANCE * max(1.0, float(expected.abs().max()))
        if logits.shape != expected.shape or not bool(logits.isfinite().all()):
            raise KdsearchError(f"{graph.name} gives no logits for images that the student takes")
        if graph.name == GRAPH and not found[graph.name]["logit_difference"] <= bound:
            difference = found[graph.name]["logit_difference"]
            raise KdsearchError(
                f"{graph.name} gives logits that differ from the student's: {difference:g} apart"
            )
    return found


def _run_alone(graph: Path, images: Tensor, patience: float) -> Tensor:
    import numpy as np
    import torch

    with tempfile.TemporaryDirectory() as part:
        given, answer = Path(part) / "images.npy", Path(part) / "logits.npy"
        np.save(given, images.numpy())
        command = [sys.executable, "-I", alone.__file__, str(graph), str(given), str(answer)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=patience)
        except subprocess.TimeoutExpired:
            raise KdsearchError(f"{graph.name} gave no logits in {patience:.0f} s") from None
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
            raise KdsearchError(f"{graph.name} does not run by itself in ONNX Runtime: {reason}")
        return torch.from_numpy(np.load(answer))
