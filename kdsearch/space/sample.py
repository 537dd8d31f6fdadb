"""Drawing a config from a spec, by asking a trial for one value after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kdsearch.space.dimensions import COUNTED, SEEDS, needs_a_teacher
from kdsearch.space.losses import learned_matching, map_losses, vanishes
from kdsearch.spec import Choice, Float, Int, Matching, Simplex, Spec, Subset, has_domain

#: A teacher whose number falls on 0 would have an infinite share; if all fell on 1, none would have any.
_SMALLEST = 1e-6


class Suggest(Protocol):
    """The part of Optuna's trial that a space asks."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


def sample(spec: Spec, trial: Suggest) -> dict[str, Any]:
    """A config: the spec's tree with every domain replaced by a value that `trial` suggested.

    What a value makes irrelevant is not asked for: the options of a choice that was not taken, the
    parameters of a loss of weight 0, losses that need a teacher when there is none, and how teachers are
    combined when there are not several.
    """
    tree = spec.tree()
    draw = _Draw(trial, tuple(spec.teachers))
    tree["student"] = draw.value("student", tree["student"])
    distill, use = tree["distill"], tree["distill"]["teachers"]
    use["members"] = draw.members = draw.value("distill.teachers.members", use["members"])
    for index, stage in enumerate(distill["stages"]):
        for key in ("epochs", "fraction"):
            stage[key] = draw.value(f"distill.stages.{index}.{key}", stage[key])
    distill = map_losses(distill, lambda place, loss: draw.loss(f"distill.{place}", loss))
    for index, stage in enumerate(distill["stages"]):
        stage["optim"] = draw.value(f"distill.stages.{index}.optim", stage["optim"])
    several = len(draw.members) > 1
    use["combine"] = draw.value("distill.teachers.combine", use["combine"]) if several else {"name": "mean"}
    use["dropout"] = draw.value("distill.teachers.dropout", use["dropout"]) if several else 0.0
    tree["distill"] = distill
    tree["optim"] = draw.value("optim", tree["optim"])
    tree["deploy"] = draw.value("deploy", tree["deploy"])
    return tree


class _Draw:
    _apart = frozenset({"weight", "match"})

    def __init__(self, trial: Suggest, teachers: tuple[str, ...]) -> None:
        self.trial = trial
        self.teachers = teachers
        self.members: list[str] = list(teachers)

    def loss(self, path: str, loss: Mapping[str, Any]) -> dict[str, Any]:
        nothing = {"name": loss["name"], "weight": 0.0}
        if needs_a_teacher(loss) and not self.members:
            return nothing
        weight = self.value(f"{path}.weight", loss["weight"])
        if vanishes(weight):
            return nothing
        drawn = {
            key: self.value(f"{path}.{key}", inner) for key, inner in loss.items() if key not in self._apart
        }
        match = loss.get("match")
        if isinstance(match, Matching):
            learned = learned_matching(loss)
            match = [
                {"teacher": teacher, "pairs": "all"}
                if learned
                else self.matching(f"{path}.match.{teacher}", match, teacher)
                for teacher in self.members
            ]
        elif match is not None:
            match = self.value(f"{path}.match", match)
        return {**loss, **drawn, "weight": weight} | ({} if match is None else {"match": match})

    def value(self, path: str, value: Any) -> Any:
        match value:
            case Float(low, high, log, step):
                return self.trial.suggest_float(path, low, high, log=log, step=step)
            case Int(low, high, log, step):
                return self.trial.suggest_int(path, low, high, log=log, step=step)
            case Choice(options):
                label = self.trial.suggest_categorical(path, value.labels)
                option = options[value.labels.index(label)]
                return self.value(f"{path}.{label}" if has_domain(option) else path, option)
            case Subset():
                return self.subset(path, value)
            case Simplex(items):
                return self.simplex(path, items or tuple(self.members))
            case Mapping():
                return {key: self.value(f"{path}.{key}", inner) for key, inner in value.items()}
            case list():
                return [self.value(f"{path}.{index}", inner) for index, inner in enumerate(value)]
        return value

    def subset(self, path: str, domain: Subset) -> list[str]:
        """One yes or no an item, left out where the bounds on the size leave no choice."""
        items = domain.items or self.teachers
        most = len(items) if domain.max is None else domain.max
        chosen: list[str] = []
        for left, item in zip(range(len(items), 0, -1), items, strict=True):
            forced = domain.min - len(chosen) >= left
            free = len(chosen) < most
            if forced or (free and self.trial.suggest_categorical(f"{path}.{item}", (True, False))):
                chosen.append(item)
        return chosen

    def simplex(self, path: str, items: tuple[str, ...]) -> dict[str, float]:
        """Normalised exponentials of uniform numbers: even over the simplex (Dirichlet with all ones)."""
        parts = {
            item: -math.log(
                min(max(self.trial.suggest_float(f"{path}.{item}", 0.0, 1.0), _SMALLEST), 1 - _SMALLEST)
            )
            for item in items
        }
        total = sum(parts.values())
        return {item: part / total for item, part in parts.items()}

    def matching(self, path: str, domain: Matching, teacher: str) -> dict[str, Any]:
        """How many pairs, then the depth of each end; both sides are sorted, so that no pairs cross.

        Neighbouring numbers are neighbouring layers, which is what a sampler needs to learn from them.
        """
        rule = domain.strategies[0]
        if len(domain.strategies) > 1:
            rule = self.trial.suggest_categorical(f"{path}.strategy", domain.strategies)
        count = domain.max_pairs
        if rule in COUNTED and domain.min_pairs < domain.max_pairs:
            count = self.trial.suggest_int(f"{path}.pairs", domain.min_pairs, domain.max_pairs)
        if rule != "searched":
            seed = self.trial.suggest_int(f"{path}.seed", 0, SEEDS - 1) if rule == "random" else 0
            pairs: Any = {"rule": rule, "count": count, "seed": seed} if count else []
            return {"teacher": teacher, "pairs": pairs}
        sides = [
            sorted(self.trial.suggest_float(f"{path}.{side}{i + 1}", 0.0, 1.0) for i in range(count))
            for side in ("student", "teacher")
        ]
        return {"teacher": teacher, "pairs": [list(pair) for pair in zip(*sides, strict=True)]}


class RandomTrial:
    """A `Suggest` that draws evenly and by itself, and records in `params` what it was asked.

    Args:
        seed: Of the draws.
        near: Parameters to vary.
        rate: The probability with which each of them is drawn anew; one always is.
    """

    def __init__(self, seed: int, near: Mapping[str, Any] | None = None, rate: float = 1.0) -> None:
        import random

        self._random = random.Random(seed)
        self.params: dict[str, Any] = {}
        names = list(near or ())
        anew = {self._random.choice(names)} if names else set()
        anew |= {name for name in names if self._random.random() < rate}
        self._kept = {name: value for name, value in (near or {}).items() if name not in anew}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if name in self._kept:
            value = float(self._kept[name])
        elif step:
            value = min(high, low + step * self._random.randint(0, int((high - low) / step + 1e-9)))
        elif log:
            value = math.exp(self._random.uniform(math.log(low), math.log(high)))
        else:
            value = self._random.uniform(low, high)
        self.params[name] = value
        return value

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if name in self._kept:
            value = int(self._kept[name])
        elif log:
            value = min(high, int(math.exp(self._random.uniform(math.log(low), math.log(high + 1)))))
        else:
            value = low + step * self._random.randint(0, (high - low) // step)
        self.params[name] = value
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        value = self._kept[name] if name in self._kept else self._random.choice(list(choices))
        self.params[name] = value
        return value
