"""The end of a search: the members of the front measured again, and scored once on the test split."""

from __future__ import annotations

from kdsearch.tune.ledger import Ledger
from kdsearch.tune.slots import Slots

#: Seconds that MLflow's thread may take to catch up, before its work is measured along with the students.
_SETTLING = 10.0


def measure_front(ledger: Ledger, slots: Slots) -> None:
    """Take the figures that are taken once, one member after the other and nothing beside it.

    The test split is not touched by anything else. Latencies replace the estimates taken beside running
    trials; a member that these no longer support leaves the front.
    """
    ledger.writer.settle(_SETTLING)
    posts = {}
    for uid in ledger.front.keys:
        job = {
            "uid": f"finish-{uid}",
            "kind": "finish",
            "config": ledger[uid].config,
            "folder": str(ledger.trial_folder(uid).absolute()),
        }
        posts[uid] = slots.run(job)
    # Told only now: telling one would have been beside the next.
    for uid, post in posts.items():
        if "error" in post:
            ledger[uid].reason = f"could not be measured again: {post['error']}"
        else:
            ledger.remeasure(uid, post["metrics"])
    ledger.rebuild_front()
