"""What is known of a config before it is trained: the layers of its models, and what its student costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from kdsearch.distill.layers import Layers
from kdsearch.distill.preflight import Facts
from kdsearch.distill.ship import is_converted
from kdsearch.measure import figures_of, measure_architecture
from kdsearch.spec import Deploy, Spec, constraints_of


def remembered_layers(facts: Facts) -> Callable[[Mapping[str, Any]], Layers]:
    """`facts.layers`, with each model built only once."""

    @lru_cache(maxsize=4096)
    def layers(text: str) -> Layers:
        return facts.layers(json.loads(text))

    return lambda model: layers(json.dumps(model, sort_keys=True))


def cost_of(spec: Spec, facts: Facts) -> Callable[[Mapping[str, Any]], dict[str, float]]:
    """A function from a config to those figures of its student that its architecture decides, by metric.

    They are the ones that are bounded, or read from a table: what may refuse a config before training.
    """
    from kdsearch import models

    bounded = {bound.name for bound in constraints_of(spec)}
    asked = [f for f in figures_of(spec) if f.name in bounded or "architecture" in f.part.needs]
    asked = [figure for figure in asked if figure.basis == "architecture"]
    sizes = {figure.name for figure in asked if figure.part.name == "size_mb"}
    known: dict[str, dict[str, float]] = {}

    def cost(config: Mapping[str, Any]) -> dict[str, float]:
        student, form = config["student"], config["deploy"]
        key = str((student, form))
        if asked and key not in known:
            models.check_model(student, facts.shape, len(facts.classes))
            model = models.build(student, facts.shape, len(facts.classes))
            known[key] = measure_architecture(
                model, facts.shape, asked, architecture=student, deploy=form, bases=("architecture",)
            )
        # The file of a converted form exists only once its student is trained.
        left_out = sizes if is_converted(Deploy(**form)) else frozenset[str]()
        return {name: value for name, value in known.get(key, {}).items() if name not in left_out}

    return cost
