"""The encoding of a matching is one that Optuna's samplers learn from."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import optuna

from kdsearch.space import sample
from kdsearch.spec import Spec

#: The layers that ought to be matched, of ten in the student and sixteen in the teacher.
BEST = [(3, 4), (8, 13)]


def distance(pairs: list[list[float]]) -> float:
    """In layers, from the best matching; a pair missing or too many costs as much as the worst."""
    found = [(int(near * 10), int(far * 16)) for near, far in pairs]
    apart = [abs(a - c) + abs(b - d) for (a, b), (c, d) in zip(found, BEST, strict=False)]
    return sum(apart) + 20 * abs(len(found) - len(BEST))


def best_of(spec: Spec, sampler: optuna.samplers.BaseSampler, trials: int = 80) -> float:
    study = optuna.create_study(sampler=sampler)
    for _ in range(trials):
        trial = study.ask()
        (match,) = sample(spec, trial)["distill"]["losses"]["hint"]["match"]
        study.tell(trial, distance(match["pairs"]))
    return study.best_value


def test_tpe_finds_a_known_matching_better_than_random_search(space: Callable[..., Spec]):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    hint = {"match": {"matching": {"max_pairs": 3}}}
    spec = space(members=["a"], losses={"ce": {}, "hint": hint})
    learned = [best_of(spec, optuna.samplers.TPESampler(seed=seed)) for seed in range(9)]
    drawn = [best_of(spec, optuna.samplers.RandomSampler(seed=seed)) for seed in range(9)]
    assert median(learned) < median(drawn) - 1
    assert sum(a < b for a, b in zip(learned, drawn, strict=True)) >= 7
