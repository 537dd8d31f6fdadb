"""Ray Tune as a search uses it: what has ended is forgotten."""

from __future__ import annotations

from small import small_spec

import kdsearch
from kdsearch.tune import tuner


def test_tune_keeps_no_trial_that_has_ended(local_ray, tmp_path, monkeypatch):
    kept, forget = [], tuner._InOrder.on_trial_complete

    def looked_at(self, controller, trial, result):
        forget(self, controller, trial, result)
        lists = ("_trials", "_live_trials", "_pending_trials_list", "_stopped_trials", "_trials_to_cache")
        kept.append(max(len(getattr(controller, name)) for name in lists))

    monkeypatch.setattr(tuner._InOrder, "on_trial_complete", looked_at)
    search = {"sampler": "random", "trials": 6, "concurrent": 1, "baselines": False}
    found = kdsearch.search(small_spec(tmp_path, search=search))
    assert len(found.trials) == len(kept) == 6
    assert max(kept) <= 2
