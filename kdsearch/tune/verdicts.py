"""What a confirmation logs to MLflow, kept in the folder of its search so that it can be logged again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kdsearch.pareto.confirmed import Confirmed
from kdsearch.tracking import Writer, names, now
from kdsearch.tune.records import write_json

#: In the folder of a search: `time`, `metrics` and `tags` by uid, those of the search itself under ''.
FILE = "confirmed.json"


def keep_verdicts(confirmed: Confirmed, folder: Path) -> Path:
    """Write the judgement to `folder`; earlier ones stay, of recipes that this one left out."""
    path, time, gap = folder / FILE, now(), confirmed.optimism
    told = _read(path)
    for row in confirmed.table.to_dict("records"):
        tags = {names.VERDICT: str(row["verdict"])}
        told[str(row["uid"])] = {"time": time, "metrics": dict(_figures(row)), "tags": tags}
    volumes = {"hypervolume_searched": gap.searched, "hypervolume_confirmed": gap.confirmed}
    told[""] = {"time": time, "metrics": {**volumes, "optimism_gap": gap.gap}, "tags": {}}
    write_json(path, told)
    return path


def tell_verdicts(folder: Path, writer: Writer) -> None:
    """Log the judgement in `folder`, if there is one, as of when it was made."""
    for uid, said in _read(folder / FILE).items():
        writer.log_metrics(uid or None, said["metrics"], at=said["time"])
        writer.set_tags(uid or None, said["tags"])


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _figures(row: Mapping[Any, Any]) -> Iterator[tuple[str, float]]:
    """What is kept as metrics: `confirmed_accuracy`, `confirmed_accuracy_std`, …, `front_probability`."""
    told = {"seeds", "failed", "gain", "gain_low", "gain_high"}
    noisy = {str(key).removesuffix("_std") for key in row if str(key).endswith("_std")}
    for key, value in row.items():
        if (key in told or key in noisy or str(key).endswith("_std")) and math.isfinite(value):
            yield f"confirmed_{key}", float(value)
    yield "front_probability", float(row["front_probability"])
