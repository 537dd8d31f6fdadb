"""The end of a search: the members of the front measured again, scored once on test, tabulated and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdsearch.pareto import front_figure, front_png, sort_front, to_csv, write_html
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.slots import Slots


def measure_front(ledger: Ledger, slots: Slots) -> None:
    """Take the figures that are taken once, one member after the other and nothing beside it.

    The test split is not touched by anything else. Latencies replace the estimates taken beside running
    trials; a member that these no longer support leaves the front.
    """
    for uid in ledger.front.keys:
        record = ledger[uid]
        job = {
            "uid": f"finish-{uid}",
            "kind": "finish",
            "config": record.config,
            "folder": str(ledger.trial_folder(uid).absolute()),
        }
        post = slots.run(job)
        if "error" in post:
            record.reason = f"could not be measured again: {post['error']}"
        else:
            ledger.remeasure(uid, post["metrics"])
    ledger.rebuild_front()


def draw(ledger: Ledger, teachers: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write the front as a table and the plots to `folder`; returns the files, the interactive plot first."""
    trials = ledger.frame()
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "front.html", folder / "front.png", folder / "front.csv", folder / "trials.csv"]
    files[2].write_text(to_csv(sort_front(trials[trials["front"]], ledger.objectives)), encoding="utf-8")
    files[3].write_text(to_csv(trials), encoding="utf-8")
    y, x = axes(ledger.objectives)
    if x is None:
        return files[2:]
    lines = (
        {name: record["metrics"]["accuracy"] for name, record in teachers.items()}
        if y == "accuracy"
        else None
    )
    write_html(front_figure(trials, ledger.objectives, x=x, y=y, teachers=lines), files[0])
    front_png(trials, ledger.objectives, x, y, files[1], teachers=lines)
    return files


def axes(objectives: Mapping[str, Any]) -> tuple[str, str | None]:
    """What is worth drawing: something to maximise upwards, over something to minimise."""
    up = next(
        (name for name, direction in objectives.items() if direction == "maximize"), next(iter(objectives))
    )
    return up, next((name for name in objectives if name != up), None)
