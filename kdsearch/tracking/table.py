"""The front as a table in MLflow, shown by its pages and read by `mlflow.load_table`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kdsearch.tracking.writer import Writer

if TYPE_CHECKING:
    import pandas as pd

FILE = "front.json"
_FIRST = (
    "recipe", "accuracy", "test_accuracy", "gain", "latency_ms", "size_mb", "macs", "parameters", "baseline",
)  # fmt: skip
_HIDDEN = ("config", "curve", "state", "front", "reason")


def table_text(front: pd.DataFrame) -> str:
    """`front` in the form of `mlflow.log_table`."""
    shown = front.drop(columns=[name for name in _HIDDEN if name in front])
    first = [name for name in _FIRST if name in shown]
    shown = shown[[*first, *(name for name in shown if name not in first)]]
    return str(shown.reset_index(drop=True).to_json(orient="split", index=False))


def log_table(writer: Writer, path: Path) -> None:
    """Store the file `front.json` as a table of the search's run, in the place of the last one.

    `mlflow.log_table` would add to it instead.
    """
    writer.log_artifact(None, path)
    writer.set_tags(None, {"mlflow.loggedArtifacts": json.dumps([{"path": FILE, "type": "table"}])})
