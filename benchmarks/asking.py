"""The floor of a search: Optuna's ask and tell alone, with its own samplers and its own journal.

`python -m benchmarks.asking` answers `sampler`, `trials` and `values` (what each trial came to) with the CPU
seconds of this process at the end of each.
"""

from __future__ import annotations

import json
import time

import optuna
from optuna.samplers import BaseGASampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.child import asked
from benchmarks.growing import space
from kdsearch.registry import find
from kdsearch.space import sample
from kdsearch.spec import load_spec, metrics_of


def main() -> None:
    question, out = asked()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spec = load_spec(space(question["sampler"]))
    sampler = find("sampler", spec.search.sampler.part).load()(
        seed=spec.search.seed, **spec.search.sampler.options
    )
    if isinstance(sampler, BaseGASampler):  # ours
        optunas = getattr(optuna.samplers, type(sampler).__name__)
        sampler = optunas(seed=spec.search.seed, population_size=sampler.population_size)
    study = optuna.create_study(
        directions=list(metrics_of(spec).values()),
        sampler=sampler,
        storage=JournalStorage(JournalFileBackend("study.journal")),
    )
    busy = []
    for values in question["values"][: question["trials"]]:
        trial = study.ask()
        sample(spec, trial)
        study.tell(trial, values)
        busy.append(time.thread_time())
    out.write_text(json.dumps(busy), encoding="utf-8")


if __name__ == "__main__":
    main()
