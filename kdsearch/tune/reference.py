"""The reference point of a search's hypervolumes, fixed before its first trial."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from kdsearch.errors import KdsearchError
from kdsearch.pareto import reference_point
from kdsearch.pareto.words import is_fraction
from kdsearch.registry import metric
from kdsearch.space import RandomTrial, corners, sample
from kdsearch.spec import Spec, load_spec
from kdsearch.tune.folder import UNTRAINED
from kdsearch.tune.jobs import Job, JobError
from kdsearch.tune.records import write_json
from kdsearch.tune.slots import Slots
from kdsearch.types import Direction

#: In the folder of a search.
FILE = "reference.json"


def fix_reference(spec: Spec, slots: Slots, folder: Path) -> dict[str, float]:
    """The reference point of a search, by metric, kept in its folder: fixed once, and then read.

    For a fraction it is the worst value, 0 or 1. For every other objective it is 10% beyond the worst figure
    of an untrained student at the extremes of the space.

    Raises:
        KdsearchError: When no extreme student can be measured.
    """
    if (before := read_reference(folder)) is not None:
        return before
    open_ended = [name for name in spec.objectives if not is_fraction(name)]
    extremes = pd.DataFrame(_extremes(spec, slots, folder.absolute()) if open_ended else [])
    reference = {
        metric(name): (0.0 if way == "maximize" else 1.0)
        if name not in open_ended
        else _beyond(extremes[metric(name)], way)
        for name, way in spec.objectives.items()
    }
    write_json(folder / FILE, reference)
    return reference


def read_reference(folder: Path) -> dict[str, float] | None:
    """The reference point that the folder of a search keeps; None where it keeps none."""
    try:
        point: dict[str, float] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return point


def _beyond(figures: pd.Series[float], way: Direction) -> float:
    worst = figures.min() if way == "maximize" else figures.max()
    return reference_point(pd.DataFrame({"worst": [worst]}), {"worst": way})["worst"]


def _extremes(spec: Spec, slots: Slots, folder: Path) -> list[dict[str, Any]]:
    """The figures of an untrained student at each extreme of the space."""
    drawn = sample(spec, RandomTrial(spec.search.seed))
    # Without a member losses that need one are refused, and objectives that compare with them have no figure.
    use = drawn["distill"]["teachers"]
    use["members"] = use["members"] or list(spec.teachers)
    students = corners(spec.tree()["student"])
    figures, reason = [], ""
    for number, student in enumerate(students):
        config = load_spec({**drawn, "student": student}).plain()
        with TemporaryDirectory(dir=folder, prefix=UNTRAINED) as place:
            job: Job = {"uid": f"untrained-{number}", "kind": "untrained", "config": config, "folder": place}
            try:
                figures.append(dict(slots.run(job)["metrics"]))
            except JobError as error:
                reason = str(error)
    if not figures:
        raise KdsearchError(f"no extreme student can be measured: {reason}")
    return figures
