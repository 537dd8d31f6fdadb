"""The losses of a config or a spec, as plain mappings, wherever they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kdsearch.registry import Part, find
from kdsearch.spec import is_matched, shape_of

LossMap = Mapping[str, Any]


def all_losses(distill: Mapping[str, Any]) -> Iterator[tuple[str, LossMap]]:
    """Every loss of every stage, and those of the main phase, with its path below `distill`."""
    for index, stage in enumerate(distill.get("stages", ())):
        for label, loss in stage["losses"].items():
            yield f"stages.{index}.losses.{label}", loss
    for label, loss in distill["losses"].items():
        yield f"losses.{label}", loss


def map_losses(distill: Mapping[str, Any], change: Callable[[str, LossMap], Any]) -> dict[str, Any]:
    """`distill` with every loss replaced by `change(path, loss)`; None leaves it out."""

    def changed(path: str, losses: Mapping[str, LossMap]) -> dict[str, Any]:
        made = {label: change(f"{path}.{label}", loss) for label, loss in losses.items()}
        return {label: loss for label, loss in made.items() if loss is not None}

    stages = [
        {**stage, "losses": changed(f"stages.{index}.losses", stage["losses"])}
        for index, stage in enumerate(distill.get("stages", ()))
    ]
    return {**distill, "stages": stages, "losses": changed("losses", distill["losses"])}


def acts_on_members(part: Part) -> bool:
    """Whether a loss acts on the members of the ensemble, rather than on layers matched to a teacher."""
    return not is_matched(part) and any(need.startswith("teacher_") for need in part.needs)


def vanishes(weight: Any) -> bool:
    """Whether a weight is 0 all the time."""
    if shape := shape_of(weight):
        ends = weight[shape]
        return all(end == 0 for end in ends) if isinstance(ends, list | tuple) else bool(ends == 0)
    return bool(weight == 0)


def learned_matching(loss: LossMap) -> bool:
    """Whether a loss learns which layers to match by itself."""
    return find("loss", loss["name"]).facts.get("matching") == "learned"
