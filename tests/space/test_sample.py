"""Drawing configs: only what matters is asked for, and every domain is drawn as it promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from kdsearch.space import RandomTrial, canonical, dimensions, sample
from kdsearch.spec import Spec, has_domain, load_spec

Make = Callable[..., Spec]
DIGITS = Path(__file__).parents[2] / "search_spaces" / "digits.yaml"


def draws(spec: Spec, count: int = 500) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Configs, each with what was asked for it."""
    drawn = []
    for seed in range(count):
        trial = RandomTrial(seed)
        drawn.append((sample(spec, trial), trial.params))
    return drawn


def test_the_options_of_a_choice_that_was_not_taken_are_not_asked_for(space: Make):
    student = {"choice": [{"name": "convnet", "width": {"int": [2, 4]}}, {"name": "mlp", "hidden": [8]}]}
    asked = {config["student"]["name"]: set(params) for config, params in draws(space(student=student), 50)}
    assert asked == {"convnet": {"student", "student.convnet.width"}, "mlp": {"student"}}


def test_a_loss_of_weight_zero_asks_for_nothing_more(space: Make):
    kd = {"weight": {"choice": [0, 1]}, "temperature": {"float": [1, 9]}}
    for config, params in draws(space(losses={"ce": {}, "kd": kd}), 50):
        off = params["distill.losses.kd.weight"] == "0.0"
        assert off == ("distill.losses.kd.temperature" not in params)
        assert off == ("kd" not in canonical(config)["distill"]["losses"])


def test_without_a_teacher_no_loss_that_needs_one_is_asked_about(space: Make):
    losses = {
        "ce": {"weight": {"float": [0.1, 1]}},
        "kd": {"weight": {"float": [0.1, 1]}},
        "hint": {"weight": {"float": [0.1, 1]}, "match": {"matching": {"max_pairs": 2}}},
    }
    alone = [
        set(params)
        for config, params in draws(space({"subset": "all"}, losses), 100)
        if not config["distill"]["teachers"]["members"]
    ]
    members = {f"distill.teachers.members.{name}" for name in "abc"}
    assert alone
    assert all(asked == members | {"distill.losses.ce.weight"} for asked in alone)


def test_how_teachers_are_combined_is_asked_only_for_several(space: Make):
    for config, params in draws(space({"subset": "all"}, combine={"choice": ["mean", "weighted"]}), 100):
        several = len(config["distill"]["teachers"]["members"]) > 1
        assert ("distill.teachers.combine" in params) == several


@pytest.mark.parametrize(("least", "most"), [(0, 3), (1, 3), (0, 1), (2, 2), (3, 3), (1, 2), (0, 0)])
def test_every_subset_within_the_bounds_is_drawn_and_no_other(space: Make, least: int, most: int):
    spec = space({"subset": "all", "min": least, "max": most})
    found = Counter(tuple(config["distill"]["teachers"]["members"]) for config, _ in draws(spec))
    allowed = [names for size in range(least, most + 1) for names in combinations("abc", size)]
    assert sorted(found) == sorted(allowed)
    assert min(found.values()) >= 0.05 * 500


def test_without_bounds_every_subset_is_as_likely(space: Make):
    found = Counter(
        tuple(config["distill"]["teachers"]["members"]) for config, _ in draws(space({"subset": "all"}), 4000)
    )
    assert len(found) == 8
    assert max(abs(count - 500) for count in found.values()) < 5 * (4000 / 8 * 7 / 8) ** 0.5


def test_a_simplex_is_drawn_evenly(space: Make):
    spec = space(combine={"name": "weighted", "weights": {"simplex": "all"}})
    weights = np.array(
        [list(c["distill"]["teachers"]["combine"]["weights"].values()) for c, _ in draws(spec, 4000)]
    )
    k = 3
    assert np.allclose(weights.sum(1), 1)
    assert np.allclose(weights.mean(0), 1 / k, atol=0.015)
    # Dirichlet(1, …, 1): Var = (k-1) / (k² (k+1)), Cov = -1 / (k² (k+1))
    expected = (np.eye(k) * k - 1) / (k**2 * (k + 1))
    assert np.allclose(np.cov(weights.T), expected, atol=0.004)


class Stuck(RandomTrial):
    """Every number at one end of its range."""

    def __init__(self, end: int) -> None:
        super().__init__(0)
        self.end = end

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> float:
        return (low, high)[self.end]


@pytest.mark.parametrize("end", [0, 1])
def test_a_simplex_adds_up_to_one_even_at_its_ends(space: Make, end: int):
    spec = space(combine={"name": "weighted", "weights": {"simplex": "all"}})
    weights = sample(spec, Stuck(end))["distill"]["teachers"]["combine"]["weights"]
    assert weights == pytest.approx(dict.fromkeys("abc", 1 / 3))


def test_a_simplex_of_all_weighs_the_members_only(space: Make):
    spec = space({"subset": "all", "min": 2}, combine={"name": "weighted", "weights": {"simplex": "all"}})
    for config, _ in draws(spec, 30):
        use = config["distill"]["teachers"]
        assert list(use["combine"]["weights"]) == use["members"]


def test_a_matching_preserves_order_and_every_member_has_its_own(space: Make):
    hint = {"match": {"matching": {"min_pairs": 1, "max_pairs": 4}}}
    sizes: dict[str, set[int]] = {"a": set(), "b": set()}
    differ = 0
    for config, _ in draws(space({"subset": ["a", "b"], "min": 1}, {"ce": {}, "hint": hint}), 200):
        matches = config["distill"]["losses"]["hint"]["match"]
        assert [match["teacher"] for match in matches] == config["distill"]["teachers"]["members"]
        for match in matches:
            for side in zip(*match["pairs"], strict=True):
                assert list(side) == sorted(side)
                assert all(0 <= depth <= 1 for depth in side)
            sizes[match["teacher"]].add(len(match["pairs"]))
        differ += len({len(match["pairs"]) for match in matches}) == 2
    assert sizes == {"a": {1, 2, 3, 4}, "b": {1, 2, 3, 4}}
    assert differ > 10


def test_a_matching_may_follow_rules(space: Make):
    rules = ["none", "random", "last", "uniform", "stage_to_stage", "searched"]
    hint = {"match": {"matching": {"min_pairs": 1, "max_pairs": 3, "strategies": rules}}}
    spec = space(members=["a"], losses={"ce": {}, "hint": hint})
    found, counts, seeds = set(), set(), set()
    for config, _ in draws(spec, 300):
        assert load_spec(config)
        (match,) = config["distill"]["losses"]["hint"]["match"]
        if isinstance(match["pairs"], list):
            found.add("searched")
            continue
        found.add(match["pairs"]["rule"])
        if match["pairs"]["rule"] in ("random", "uniform"):
            counts.add(match["pairs"]["count"])
        if match["pairs"]["rule"] == "random":
            seeds.add(match["pairs"]["seed"])
    assert (found, counts) == (set(rules), {1, 2, 3})
    assert len(seeds) > 20


def test_the_ends_of_a_schedule_are_searched(space: Make):
    kd = {
        "weight": {"linear": [{"float": [0.5, 1]}, 0.0], "until": {"float": [0.3, 0.9]}},
        "temperature": {"per_teacher": {"a": {"float": [1, 2]}, "b": {"cosine": [{"float": [8, 9]}, 1.0]}}},
    }
    spec = space(members=["a", "b"], losses={"ce": {}, "kd": kd})
    path = "distill.losses.kd"
    names = [dimension.name for dimension in dimensions(spec)]
    assert names == [
        f"{path}.weight.linear.0",
        f"{path}.weight.until",
        f"{path}.temperature.per_teacher.a",
        f"{path}.temperature.per_teacher.b.cosine.0",
    ]
    for config, params in draws(spec, 20):
        assert set(params) == set(names)
        drawn = config["distill"]["losses"]["kd"]
        assert drawn["weight"] == {"linear": [params[names[0]], 0.0], "until": params[names[1]]}
        assert load_spec(config)


def test_a_stage_is_searched_like_the_rest(space: Make):
    stage = {
        "fraction": {"float": [0.1, 0.5]},
        "losses": {"hint": {"weight": {"float": [1, 2]}, "match": {"matching": {"max_pairs": 1}}}},
        "optim": {"name": "sgd", "lr": {"float": [0.1, 1]}},
    }
    spec = space(members=["a"], losses={"ce": {}}, stages=[stage])
    asked = {name for _, params in draws(spec) for name in params}
    assert {dimension.name for dimension in dimensions(spec)} == asked
    assert {name.split(".")[3] for name in asked} == {"fraction", "losses", "optim"}
    assert load_spec(sample(spec, RandomTrial(0)))


def test_numbers_keep_their_range_and_step(space: Make):
    optim = {
        "name": "sgd",
        "lr": {"float": [1e-3, 1], "log": True},
        "epochs": {"int": [1, 64], "log": True},
        "clip": {"float": [0.0, 1.0], "step": 0.25},
        "accumulate": {"int": [1, 7], "step": 3},
    }
    drawn = [config["optim"] for config, _ in draws(space(optim=optim))]
    rates = np.log10([each["lr"] for each in drawn])
    assert rates.min() >= -3
    assert rates.max() <= 0
    assert abs(rates.mean() + 1.5) < 0.15
    epochs = [each["epochs"] for each in drawn]
    assert min(epochs) == 1
    assert 56 <= max(epochs) <= 64
    assert {each["clip"] for each in drawn} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert {each["accumulate"] for each in drawn} == {1, 4, 7}


def test_choices_within_choices_are_drawn_to_the_end(space: Make):
    lr = {"choice": [{"choice": [1, 2]}, {"float": [0.1, 0.2]}, 3]}
    found = {config["optim"]["lr"] for config, _ in draws(space(optim={"name": "sgd", "lr": lr}), 100)}
    assert {1.0, 2.0, 3.0} < found
    assert all(0.1 <= value <= 0.2 for value in found - {1.0, 2.0, 3.0})


SPACES: dict[str, dict[str, Any]] = {
    "subset": {"members": {"subset": "all"}},
    "subset of some": {"members": {"subset": ["a", "b"], "min": 1, "max": 1}},
    "subset of one": {"members": {"subset": "all", "min": 1, "max": 1}},
    "subset of most": {"members": {"subset": "all", "min": 2}},
    "choice of lists": {"members": {"choice": [["a"], ["b", "c"]]}},
    "choice with none": {"members": {"choice": [[], ["b"]]}},
    "fixed": {"members": ("a", "b")},
    "one": {"members": ("c",)},
}


@pytest.mark.parametrize("members", SPACES.values(), ids=SPACES)
def test_the_dimensions_are_what_is_asked_for(space: Make, members: dict[str, Any]):
    losses = {
        "ce": {"weight": {"choice": [0, {"float": [0.5, 1]}]}},
        "kd": {"weight": {"float": [0.0, 1]}, "temperature": {"choice": [4, {"int": [5, 9]}]}},
        "off": {"name": "kd", "weight": 0, "temperature": {"float": [1, 2]}},
        "hint": {"weight": {"choice": [0, 1]}, "match": {"matching": {"max_pairs": 2}}},
    }
    student = {"choice": ["mlp", {"name": "convnet", "width": {"int": [2, 4]}}]}
    combine = {"choice": ["mean", {"name": "weighted", "weights": {"simplex": "all"}}]}
    spec = space(**members, losses=losses, student=student, combine=combine)
    asked = {name for _, params in draws(spec) for name in params}
    assert {dimension.name for dimension in dimensions(spec)} == asked


def test_the_dimensions_of_the_demo_are_what_is_asked_for():
    spec = load_spec(DIGITS)
    asked = {name for _, params in draws(spec) for name in params}
    names = [dimension.name for dimension in dimensions(spec)]
    assert set(names) == asked
    assert len(names) == len(asked)


def test_optuna_draws_the_same_space(space: Make):
    """What Optuna is asked has one range a name, and replays to the same config."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spec, study = load_spec(DIGITS), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        config = sample(spec, trial)
        assert not has_domain(config)
        assert sample(spec, optuna.trial.FixedTrial(trial.params)) == config
        assert load_spec(config)
        study.tell(trial, 0.0)


def test_one_seed_draws_one_config(space: Make):
    first: Sequence[Any] = [config for config, _ in draws(load_spec(DIGITS), 5)]
    assert first == [config for config, _ in draws(load_spec(DIGITS), 5)]
    assert first[0] != first[1]
