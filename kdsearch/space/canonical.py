"""The canonical form of a config, and the identity that follows from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kdsearch.registry import Part, find
from kdsearch.spec import is_matched

#: What determines the outcome of a config, apart from the seed.
_DETERMINING = ("data", "teachers", "student", "distill", "optim")


def canonical(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without anything that has no effect, so that equal recipes are equal mappings.

    Losses of weight 0, or with nothing to act on, are left out, and so are teachers that no loss uses. The
    members stand in the order of the spec; how they are combined is `mean` when there are not several.
    `losses` may come out empty: such a config trains on nothing.
    """
    members = sorted(config["distill"]["teachers"]["members"], key=list(config["teachers"]).index)
    losses = {
        label: loss for label, loss in config["distill"]["losses"].items() if _acts(loss, bool(members))
    }
    if not any(needs_members(find("loss", loss["name"])) for loss in losses.values()):
        members = []
    use = config["distill"]["teachers"]
    several = len(members) > 1
    combine, dropout = (use["combine"], use["dropout"]) if several else ({"name": "mean"}, 0.0)
    hinting = {loss["match"]["teacher"] for loss in losses.values() if loss.get("match")}
    used = {
        name: teacher for name, teacher in config["teachers"].items() if name in hinting or name in members
    }
    teachers = {"members": members, "combine": combine, "dropout": dropout}
    distill = {"teachers": teachers, "losses": losses}
    return {**config, "teachers": used, "distill": distill}


def _acts(loss: Mapping[str, Any], has_members: bool) -> bool:
    if loss["weight"] == 0:
        return False
    part = find("loss", loss["name"])
    if is_matched(part):
        return bool(loss["match"]["pairs"])
    return has_members or not needs_members(part)


def needs_members(part: Part) -> bool:
    """Whether a loss acts on the members of the ensemble, rather than on layers matched to one teacher."""
    return not is_matched(part) and any(need.startswith("teacher_") for need in part.needs)


def fingerprint(config: Mapping[str, Any]) -> str:
    """Twelve hex digits that stand for what a canonical config computes: its uid everywhere."""
    content = {key: config[key] for key in _DETERMINING} | {"seed": config["search"]["seed"]}
    return digest(content)


def digest(content: Any) -> str:
    """Twelve hex digits of the SHA-256 of plain values."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
