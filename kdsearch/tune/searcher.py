"""Tune's searcher: it asks `Proposals` for configs, and enters what trials post into the `Ledger`."""

from __future__ import annotations

import re
from collections import Counter, deque
from typing import Any

from ray.tune.search import Searcher

from kdsearch.tune.display import Display
from kdsearch.tune.jobs import LostError, Post
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.proposals import Finished, Proposals
from kdsearch.tune.records import INTERRUPTED, TRACEBACK
from kdsearch.tune.slots import Slots
from kdsearch.tune.stopping import Stop

#: Trials in a row that fail in the same way before the search gives up.
_SAME = 3
#: How often a trial that Tune gave up because its actor died is given to another actor.
_ADOPTIONS = 3


class StudySearcher(Searcher):  # type: ignore[misc]
    """Runs as many trials at once as there are worker groups.

    Tune would end at once on an error raised here. A fatal one, such as a full disk, is kept in `failure`
    instead, and the search stops.
    """

    def __init__(
        self, proposals: Proposals, ledger: Ledger, slots: Slots, display: Display, stop: Stop
    ) -> None:
        super().__init__()
        self._proposals, self._ledger, self._slots, self._display = proposals, ledger, slots, display
        self._stop = stop
        self._uids: dict[str, str] = {}
        self._orphans: deque[str] = deque()
        self._adoptions = Counter[str]()
        self._row: list[str] = []
        self.failure: OSError | LostError | None = None

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The config of the next trial; None while all groups are busy."""
        if self.failure is not None:
            return str(Searcher.FINISHED)
        if self._orphans:
            return self._attend(trial_id, self._orphans.popleft())
        if len(self._uids) >= self._slots.open:
            return None
        try:
            return self._begin(trial_id)
        except (OSError, LostError) as error:
            self._fail(error)
            return str(Searcher.FINISHED)

    def _begin(self, trial_id: str) -> dict[str, Any] | str | None:
        proposal = self._proposals.next()
        if proposal is None:
            return None
        if isinstance(proposal, Finished):
            # Tune would not ask again, and one of those that run may need another actor.
            return None if self._uids else str(Searcher.FINISHED)
        record = self._ledger.start(proposal.uid, proposal.config, proposal.baseline, proposal.params)
        self._display.update(self._ledger, self._proposals.planned, record)
        folder = self._ledger.trial_folder(proposal.uid).absolute()
        self._slots.submit(
            {"uid": proposal.uid, "kind": "trial", "config": proposal.config, "folder": str(folder)}
        )
        return self._attend(trial_id, proposal.uid)

    def _attend(self, trial_id: str, uid: str) -> dict[str, Any]:
        self._uids[trial_id] = uid
        # Not the job itself: Tune copies a trial's config several times, and keeps it to its end.
        return {"uid": uid, "mailbox": self._slots.name}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A running trial posted."""
        self._slots.show_notes(result["posts"])
        try:
            for post in result["posts"]:
                if "epoch" in post:
                    self._ledger.epoch(self._uids[trial_id], post["epoch"])
        except OSError as error:
            self._fail(error)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial ended, one way or another."""
        if trial_id not in self._uids:
            return
        if result and "posts" in result:
            self.on_trial_result(trial_id, result)
        uid = self._uids.pop(trial_id)
        if error and self._adoptions[uid] < _ADOPTIONS:
            # Tune restarts the actor of a trial, but not one that died idle and was then given a trial. The
            # job goes on in its worker group all the same.
            self._adoptions[uid] += 1
            self._orphans.append(uid)
            return
        if error and self._slots.lost:
            self._fail(LostError())
            return
        try:
            self._end(uid, result["posts"][-1] if result and "posts" in result else {})
        except OSError as failure:
            self._fail(failure)
        self._slots.mailbox.forget.remote(uid)

    def _end(self, uid: str, last: Post) -> None:
        if last.get("stopped") or last.get("blame") == "cluster":
            self._ledger.end(uid, "stopped", last.get("metrics", {}), INTERRUPTED)
            if "error" in last:
                self._stop.request(str(last["error"]))
        elif "error" in last or not last.get("done"):
            reason = str(last.get("error", "its actor died"))
            self._ledger.end(uid, "failed", {}, reason, infeasible=last.get("blame") == "memory")
            if not self._ledger[uid].baseline:  # of the same student: it would fail in the same way
                self._count(uid, reason, blame=str(last.get("blame", "code")))
        else:
            self._ledger.end(uid, "complete", last.get("metrics", {}))
            self._row.clear()
        record = self._ledger[uid]
        self._proposals.tell(record)
        self._display.update(self._ledger, self._proposals.planned, record)

    def _count(self, uid: str, reason: str, blame: str) -> None:
        """Stop on the third failure of the same kind in a row.

        A recipe that diverges, or that does not fit into memory, is one the sampler learns to avoid: that
        stops a search only as long as no trial at all has succeeded.
        """
        if blame != "code" and self._ledger.counts["complete"]:
            return
        if self._row and self._row[0] != _kind(reason):
            self._row.clear()
        self._row.append(_kind(reason))
        if len(self._row) >= _SAME:
            where = self._ledger.trial_folder(uid) / TRACEBACK
            more = f"; the calls are in {where}" if where.exists() else ""
            self._stop.request(f"{_SAME} trials in a row failed with the same error: {reason}{more}")

    def _fail(self, error: OSError | LostError) -> None:
        self.failure = self.failure or error
        self._stop.request(str(error))

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its parts to restore them; ours are restored from files of their own."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study and the records are files of their own."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""


def _kind(reason: str) -> str:
    """An error without its numbers: sizes and epochs differ from trial to trial."""
    return re.sub(r"\d+", "#", reason)
