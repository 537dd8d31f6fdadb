"""Reading configs: whom a student learns from, on what, and in what configs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from kdsearch.space.losses import all_losses
from kdsearch.spec import shape_of

Config = Mapping[str, Any]


def members(config: Config) -> list[str]:
    """The teachers whose outputs the student learns from."""
    return list(config["distill"]["teachers"]["members"])


def matches(loss: Config) -> list[Config]:
    """The layers that a loss matches, `{teacher, pairs}` for each teacher; none for a loss on outputs."""
    match = loss.get("match")
    if not match:
        return []
    return [match] if isinstance(match, Mapping) else list(match)


def losses(config: Config) -> list[tuple[str, Config]]:
    """Every loss with its label; that of an early stage as `stage 1: kd`."""
    return [(_label(path), loss) for path, loss in all_losses(config["distill"])]


def teachers(config: Config) -> list[str]:
    """Every teacher that a config uses, for its outputs or its features, each once."""
    hinting = [match["teacher"] for _, loss in losses(config) for match in matches(loss)]
    return list(dict.fromkeys([*members(config), *hinting]))


def amount(value: Any) -> str:
    """A weight or a temperature in three digits; of a schedule, where from and where to: `1→0.1 (linear)`."""
    if shape := shape_of(value):
        ends = value[shape] if isinstance(value[shape], list | tuple) else [value[shape]]
        return "→".join(map(amount, ends)) + f" ({shape})"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {amount(inner)}" for key, inner in value.get("per_teacher", value).items())
    if isinstance(value, list | tuple):
        return "-".join(map(amount, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def settings(config: Config) -> dict[str, Any]:
    """The leaves of what is searched, by dotted key: numbers as they are, all else in words."""
    found: dict[str, Any] = {"teachers": "+".join(teachers(config)) or "none"}
    for section in ("student", "distill", "optim", "deploy"):
        if isinstance(config.get(section), Mapping):
            found |= dict(_leaves(config[section], section))
    return found


def varying(configs: Sequence[Config]) -> pd.DataFrame:
    """Those `settings` in which `configs` differ, a row each; missing where one has no such setting."""
    frame = pd.DataFrame([settings(config) for config in configs])
    several = [name for name in frame.columns if frame[name].nunique(dropna=False) > 1]
    return frame[several]


def _label(path: str) -> str:
    first, *rest = path.split(".")
    return f"stage {int(rest[0]) + 1}: {rest[-1]}" if first == "stages" else rest[-1]


def _leaves(value: Config, path: str) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        at = f"{path}.{key}"
        if key == "match":
            yield at, " and ".join(_pairs(match) for match in matches({"match": inner})) or "none"
        elif shape_of(inner):
            yield at, amount(inner)
        elif key == "stages":
            for index, stage in enumerate(inner):
                yield from _leaves(stage, f"{at}.{index}")
        elif isinstance(inner, Mapping):
            yield from _leaves(inner, at)
        elif isinstance(inner, bool) or not isinstance(inner, int | float):
            yield at, amount(inner)
        else:
            yield at, inner


def _pairs(match: Config) -> str:
    pairs = match["pairs"]
    paired = isinstance(pairs, list | tuple)
    given = ", ".join(f"{amount(a)}→{amount(b)}" for a, b in pairs) if paired else amount(pairs)
    return f"{match['teacher']}: {given}"
