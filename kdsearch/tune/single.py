"""One config on one worker group, for configs that several workers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdsearch.spec import Spec
from kdsearch.storage import local
from kdsearch.tune.capacity import groups, timed_here
from kdsearch.tune.cluster import connected
from kdsearch.tune.jobs import Kind
from kdsearch.tune.slots import Slots
from kdsearch.tune.teachers import get_teachers


def run_single(config: Spec, folder: Path, report: Callable[[str], None]) -> dict[str, Any]:
    """Distill a config on a worker group started for it; its files go to `folder`. Returns its figures."""
    storage = local(config.compute.storage)
    with connected(None) as cluster:
        groups(timed_here(config), cluster)
        slots = Slots(config.compute, 1, storage, folder / "train", report)
        try:
            get_teachers(config, storage, slots, report)
            kinds: tuple[Kind, ...] = ("trial", "finish")
            place = str(folder.absolute())
            posts = [
                slots.run({"uid": kind, "kind": kind, "config": config.plain(), "folder": place})
                for kind in kinds
            ]
        finally:
            slots.close()
    return {**posts[0]["metrics"], **posts[1]["metrics"]}
