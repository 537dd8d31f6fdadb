"""Tune's searcher: it asks `Proposals` for configs, and enters what trials post into the `Ledger`."""

from __future__ import annotations

from typing import Any

from ray.tune.search import Searcher

from kdsearch.tune.display import Display
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.proposals import Finished, Proposals
from kdsearch.tune.slots import Slots


class StudySearcher(Searcher):  # type: ignore[misc]
    """Runs as many trials at once as there are worker groups."""

    def __init__(self, proposals: Proposals, ledger: Ledger, slots: Slots, display: Display) -> None:
        super().__init__()
        self._proposals, self._ledger, self._slots, self._display = proposals, ledger, slots, display
        self._uids: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The config of the next trial; None while all groups are busy."""
        if len(self._uids) >= self._slots.open:
            return None
        proposal = self._proposals.next()
        if proposal is None:
            return None
        if isinstance(proposal, Finished):
            return str(Searcher.FINISHED)
        self._uids[trial_id] = proposal.uid
        record = self._ledger.start(proposal.uid, proposal.config, proposal.baseline)
        self._display.update(self._ledger, self._proposals.planned, record)
        folder = self._ledger.trial_folder(proposal.uid).absolute()
        job = {"uid": proposal.uid, "kind": "trial", "config": proposal.config, "folder": str(folder)}
        return {"uid": proposal.uid, "mailbox": self._slots.name, "job": job}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A running trial posted."""
        uid = self._uids[trial_id]
        for post in result["posts"]:
            if "epoch" in post:
                self._ledger.epoch(uid, post["epoch"])

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial ended, one way or another."""
        if trial_id not in self._uids:
            return
        if result and "posts" in result:
            self.on_trial_result(trial_id, result)
        uid = self._uids.pop(trial_id)
        last = result["posts"][-1] if result and "posts" in result else {}
        if "error" in last or not last.get("done"):
            self._ledger.end(uid, "failed", {}, last.get("error", "its actor died"))
        else:
            self._ledger.end(uid, "stopped" if last.get("stopped") else "complete", last.get("metrics", {}))
        record = self._ledger[uid]
        self._proposals.tell(record)
        self._slots.mailbox.forget.remote(uid)
        self._display.update(self._ledger, self._proposals.planned, record)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its parts to restore them; ours are restored from files of their own."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study and the records are files of their own."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""
