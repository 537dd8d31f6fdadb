"""A search told in words: what distillation gained, what the front uses, what was not worth searching."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd

from kdsearch.pareto import words
from kdsearch.pareto.album import Album
from kdsearch.pareto.indicators import hypervolume
from kdsearch.pareto.marks import baseline_names
from kdsearch.pareto.progress import stated
from kdsearch.pareto.recipes import losses, members, teachers

#: A dimension below this share in every objective is said not to have been worth searching.
_IDLE = 0.03


def story(album: Album) -> list[str]:
    """One paragraph each: the search, the gain, the fresh runs, what the front uses, what was idle."""
    told = [_search(album), _gain(album), _fresh(album), _uses(album), _idle(album), _failures(album)]
    return [paragraph for paragraph in told if paragraph]


def _search(album: Album) -> str:
    trials, done = album.trials, len(album.complete)
    extra = sum(name != "" for name in baseline_names(trials))
    text = f"{len(trials)} recipes were trained, {extra} of them baselines; {done} came to an end."
    if not done:
        return text
    volume = hypervolume(album.front, album.objectives, album.reference)
    text += f" The front has {len(album.front)}. It dominates a hypervolume of {words.short(volume)} up to "
    text += f"{stated(album.reference)}, a point fixed before the first trial."
    late = [
        n
        for n, (a, b) in enumerate(zip([0.0, *album.hypervolumes], album.hypervolumes, strict=False), 1)
        if b > a
    ]
    return text + (f" Its last improvement was trial {late[-1]} of {done}." if late else "")


def _gain(album: Album) -> str:
    """Over labels alone, at equal size: the same student trained without a teacher."""
    front = album.front
    if "gain" not in front:
        return ""
    taught = front[front["gain"].notna()]
    alone = sum(name == "labels" for name in baseline_names(front))
    text = f"{_count(alone, 'member')} of the front learned from labels alone. " if alone else ""
    if taught.empty:
        return text.strip()
    best = taught.sort_values("gain").iloc[-1]
    ahead = int((taught["gain"] > 0).sum())
    gains = taught["gain"]
    return text + (
        f"Against the same student, trained as long from labels alone, distillation gained "
        f"{_points(gains.min())} to {_points(gains.max())} points (median {_points(gains.median())}) over "
        f"{_count(len(taught), 'taught member')}; {ahead} came out ahead. "
        f"The largest gain is that of {best['recipe']}. These are single runs, chosen for being good."
    )


def _fresh(album: Album) -> str:
    if album.confirmed is None:
        return (
            "No member has been trained with other seeds yet: gains no larger than the spread between seeds "
            f"are luck. `kdsearch confirm {album.name}` tells."
            if album.state != "running" and len(album.front)
            else ""
        )
    table, gap = album.confirmed.table, album.confirmed.optimism
    text = (
        f"Trained again with {_range(table['seeds'] + table['failed'])} fresh seeds each, "
        f"{int(table['front'].sum())} of {len(table)} recipes are on the front of the means. "
        f"The hypervolume of these recipes was {words.short(gap.searched)} as searched "
        f"and is {words.short(gap.confirmed)} as confirmed: an optimism gap of {words.short(gap.gap)}, "
        f"or {gap.share:.1%}."
    )
    if len(luck := table[table["verdict"] == "luck"]):
        text += f" Luck had put on the front: {_list(luck['recipe'])}."
    if len(unstable := table[table["failed"] > 0]):
        rows = unstable.to_dict("records")
        counted = [f"{row['recipe']} ({row['failed']} of {row['seeds'] + row['failed']})" for row in rows]
        text += f" Runs failed, so that nothing is said of their place: {_list(counted)}."
    if len(unsure := table[table["verdict"] == "unsure"]):
        text += f" On the front in fewer than half of the resamples: {_list(unsure['recipe'])}."
    judged = table[table["gain"].notna()]
    surely, within = (
        judged[judged["gain_low"] > 0],
        judged[(judged["gain_low"] <= 0) & (judged["gain_high"] >= 0)],
    )
    if len(judged):
        text += (
            f" Of {_count(len(judged), 'taught recipe')} with a twin, {len(surely)} surely gained over "
            f"labels alone (mean {_points(judged['gain'].mean())} points over all)."
        )
    if len(within):
        text += f" No gain beyond the spread over seeds: {_list(within['recipe'])}."
    return text


def _uses(album: Album) -> str:
    configs = [config for config in album.front.get("config", []) if config and teachers(config)]
    if not configs:
        return ""
    whom = Counter(name for config in configs for name in teachers(config))
    terms = Counter(label for config in configs for label, _ in losses(config))
    several = [config for config in configs if len(members(config)) > 1]
    combined = Counter(config["distill"]["teachers"]["combine"]["name"] for config in several)
    text = (
        f"The {_count(len(configs), 'taught member')} of the front learn from these teachers "
        f"({_tally(whom)}) on these losses ({_tally(terms)}): how many use each stands behind it."
    )
    heats = [
        loss["temperature"]
        for config in configs
        for _, loss in losses(config)
        if isinstance(loss.get("temperature"), int | float)
    ]
    if several:
        text += f" {len(several)} combine several teachers ({_tally(combined)})."
    if heats:
        middle = float(np.median(heats))
        text += f" Temperatures run from {min(heats):.3g} to {max(heats):.3g}, median {middle:.3g}."
    return text


def _idle(album: Album) -> str:
    """Dimensions that decide nothing, and teachers and losses that the front passes over."""
    shares = album.importances
    names = dict.fromkeys(name for own in shares.values() for name in own)
    idle = [name for name in names if all(own.get(name, 0.0) < _IDLE for own in shares.values())]
    text = (
        f"Not worth searching here (under {_IDLE:.0%} of every objective): {', '.join(idle)}." if idle else ""
    )
    tried, kept = _used(album.complete), _used(album.front)
    if unused := [name for name in tried if name not in kept]:
        text += f" Tried, and not on the front: {', '.join(unused)}."
    return text.strip()


def _used(rows: pd.DataFrame) -> list[str]:
    configs = [config for config in rows.get("config", []) if config]
    whom = [f"teacher {name}" for config in configs for name in teachers(config)]
    return list(dict.fromkeys([*whom, *(f"loss {x}" for c in configs for x, _ in losses(c))]))


def _failures(album: Album) -> str:
    failed = album.trials[album.trials["state"] == "failed"]
    if failed.empty:
        return ""
    reasons = Counter(str(reason) for reason in failed["reason"])
    return (
        f"{_count(len(failed), 'recipe')} failed: "
        + "; ".join(f"{why} ({n})" for why, n in reasons.most_common(5))
        + "."
    )


def _tally(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _points(gain: float) -> str:
    return f"{100 * gain:+.2f}"


def _range(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def _list(recipes: Iterable[str]) -> str:
    return "; ".join(recipes)
