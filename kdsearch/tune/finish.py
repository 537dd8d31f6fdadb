"""The end of a search: the members of the front measured again, and scored once on the test split."""

from __future__ import annotations

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
