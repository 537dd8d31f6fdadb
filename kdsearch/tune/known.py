"""What is known of a config before it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kdsearch.distill.preflight import Facts
from kdsearch.distill.ship import is_converted
from kdsearch.measure import figures_of, measure_architecture
from kdsearch.spec import Deploy, Spec, constraints_of


def remembering(facts: Facts) -> Any:
    """`facts.layers`, each model built only once."""
    import json

    @lru_cache(maxsize=4096)
    def layers(text: str) -> Any:
        return facts.layers(json.loads(text))

    return lambda model: layers(json.dumps(model, sort_keys=True))


def cost_of(spec: Spec, facts: Facts) -> Any:
    """What is known of a config's student before it is trained: what a bound or a table may refuse."""
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
            model = models.build(student, facts.shape, len(facts.classes))
            known[key] = measure_architecture(
                model, facts.shape, asked, architecture=student, deploy=form, bases=("architecture",)
            )
        # The file of another form is written of a trained student only.
        left_out = sizes if is_converted(Deploy(**form)) else frozenset[str]()
        return {name: value for name, value in known.get(key, {}).items() if name not in left_out}

    return cost
