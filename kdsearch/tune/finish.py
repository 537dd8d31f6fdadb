"""The end of a search: the members of the front measured again, and scored once on the test split."""

from __future__ import annotations

import math
from typing import Any

from kdsearch.tune.jobs import Job, JobError
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.slots import Slots

#: Seconds to wait for MLflow's thread to catch up, lest its work disturb the measurements.
_SETTLING = 10.0


def measure_front(ledger: Ledger, slots: Slots) -> None:
    """Take the final figures of each member of the front, one after the other, with nothing beside it.

    The test split is used here and nowhere else. Latencies replace the estimates that were taken beside
    running trials; a member that no longer belongs to the front then leaves it. Last comes what each member
    gains by its teachers.
    """
    ledger.writer.settle(_SETTLING)
    found: dict[str, dict[str, Any]] = {}
    for uid in ledger.front.keys:
        job: Job = {
            "uid": f"finish-{uid}",
            "kind": "finish",
            "config": ledger[uid].config,
            "folder": str(ledger.trial_folder(uid).absolute()),
        }
        try:
            found[uid] = slots.run(job)["metrics"]
        except JobError as error:
            ledger.explain(uid, f"could not be measured again: {error}")
    # Reported after the loop, so that logging one does not disturb timing the next.
    for uid, metrics in found.items():
        ledger.remeasure(uid, metrics)
    ledger.rebuild_front()
    for uid in ledger.front.keys:
        if math.isfinite(gain := ledger.gain(ledger[uid])):
            ledger.remeasure(uid, {"gain": gain})
