"""The canonical form of a config, and the identity that follows from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kdsearch.registry import find
from kdsearch.space.losses import acts_on_members, all_losses, map_losses, vanishes
from kdsearch.spec import decisive, is_matched, shape_of

#: What determines the outcome of a config, apart from the seed.
_DETERMINING = ("data", "teachers", "student", "distill", "optim")

_NO_FILTER = {"correct": False, "confidence": 0.0}


def canonical(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without anything that has no effect, so that equal recipes are equal mappings.

    Losses of weight 0, or with nothing to act on, are left out, and so are stages without losses and teachers
    that no loss uses. Teachers stand in the order of the spec; how they are combined is `mean` when there are
    not several. `losses` may come out empty: such a config trains on nothing.
    """
    order = list(config["teachers"]).index
    use = config["distill"]["teachers"]
    members = sorted(use["members"], key=order)
    distill = map_losses(config["distill"], lambda _, loss: _acting(loss, members, order))
    stages = [stage for stage in distill.pop("stages") if stage["losses"] and _lasts(stage)]
    losses = [loss for _, loss in all_losses({**distill, "stages": stages})]
    hinting = {match["teacher"] for loss in losses for match in loss.get("match") or ()}
    if not any(acts_on_members(find("loss", loss["name"])) for loss in losses):
        members = [member for member in members if member in hinting]
    several = len(members) > 1
    combine, dropout = (use["combine"], use["dropout"]) if several else ({"name": "mean"}, 0.0)
    figures = (figure for key, figure in config["measure"].items() if key != "resources")
    # Those that a student is compared with stay, whether it learns from them or not.
    kept = {*members, *hinting, *(figure.get("teacher") for figure in figures)}
    teachers = {name: teacher for name, teacher in config["teachers"].items() if name in kept}
    made = {"teachers": {"members": members, "combine": combine, "dropout": dropout}}
    made |= {"losses": distill["losses"]} | ({"stages": stages} if stages else {})
    return {**config, "teachers": teachers, "distill": made}


def _acting(loss: Mapping[str, Any], members: list[str], order: Any) -> dict[str, Any] | None:
    """A loss as far as it has an effect; None when it has none."""
    if vanishes(loss["weight"]):
        return None
    part = find("loss", loss["name"])
    kept = {key: _simplest(value) for key, value in loss.items() if key != "only" or value != _NO_FILTER}
    if is_matched(part):
        pairs = [match for match in loss["match"] if match["pairs"]]
        return {**kept, "match": sorted(pairs, key=lambda match: order(match["teacher"]))} if pairs else None
    if acts_on_members(part) and not members:
        return None
    return {key: _of_members(value, members) for key, value in kept.items()}


def _simplest(value: Any) -> Any:
    """A schedule that never changes is a constant."""
    shape = shape_of(value)
    if shape is None or value["until"] < 1:
        return value
    ends = value[shape] if isinstance(value[shape], list) else [value[shape]]
    return ends[0] if len(set(ends)) == 1 else value


def _of_members(value: Any, members: list[str]) -> Any:
    """A value given per teacher, for the teachers in use only."""
    if isinstance(value, Mapping) and "per_teacher" in value:
        return {"per_teacher": {name: value["per_teacher"][name] for name in members}}
    return value


def _lasts(stage: Mapping[str, Any]) -> bool:
    return bool(stage["epochs"] or stage["fraction"])


def fingerprint(config: Mapping[str, Any]) -> str:
    """Twelve hex digits that stand for what a canonical config computes: its uid everywhere."""
    content = {key: config[key] for key in _DETERMINING} | {"seed": config["search"]["seed"]}
    if form := decisive(config.get("deploy", {})):
        content["deploy"] = form
    return digest(content)


def digest(content: Any) -> str:
    """Twelve hex digits of the SHA-256 of plain values."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
