"""The front of a search, judged by fresh runs of its members: means, spread, chances, ties and luck."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kdsearch.pareto.chance import bands, front_probability, interval, resampled_means
from kdsearch.pareto.front import non_dominated
from kdsearch.pareto.marks import baseline_names
from kdsearch.pareto.optimism import Optimism, optimism
from kdsearch.types import Direction

HOLDS, UNSURE, LUCK, ENTERS, UNSTABLE, OFF = "holds", "unsure", "luck", "enters", "unstable", ""


@dataclass(frozen=True)
class Confirmed:
    """What fresh runs say of a front.

    `table` has a row for each recipe, best first: `uid`, `recipe`, `baseline`, `seeds` (fresh runs that
    ended), `failed` (those that did not), the mean of each objective, of each noisy metric also `…_std`
    (between runs, n-1), and of `judged`, the first objective that is noisy, `searched`, `low` and `high`
    (95% of the bootstrapped mean); `gain`, `gain_low` and `gain_high` over the same student from labels alone
    (NaN where that was not run); `front`, `front_probability`, `band` (recipes in one band can't be told
    apart), and `verdict`: `holds`, `unsure` (on the front, but in fewer than half of the resamples), `luck`
    (off the front that it was on), `enters`, `unstable` (a run failed), or nothing.

    The runs that ended say too little of a recipe of which one failed: it is on no front and in no band (0),
    drives nothing off the front, and has no gain.
    """

    table: pd.DataFrame
    objectives: Mapping[str, Direction]
    judged: str
    optimism: Optimism


def judge(
    searched: pd.DataFrame,
    runs: pd.DataFrame,
    objectives: Mapping[str, Direction],
    *,
    noisy: Collection[str],
    reference: Mapping[str, float],
    twins: Mapping[str, str],
    failed: Mapping[str, int] | None = None,
) -> Confirmed:
    """Judge recipes by their fresh runs.

    Args:
        searched: A row for each recipe as the search saw it: `uid`, `recipe`, `baseline`, `front`, the
            objectives.
        runs: A row for each fresh run: `uid`, and the metrics in `noisy`.
        objectives: Their directions. Those that are not noisy are taken from `searched`.
        noisy: The metrics that differ from run to run.
        reference: Of the hypervolumes.
        twins: The uid of the same student from labels alone, by uid.
        failed: How many more runs of a recipe were begun, and failed, by uid.
    """
    before, failed = searched.set_index("uid"), failed or {}
    kept = [name for name in objectives if name not in noisy]
    whole = runs.drop(columns=kept, errors="ignore").join(before[kept], on="uid")
    means = resampled_means(whole, objectives)
    begun = [*means, *(uid for uid, count in failed.items() if count and uid not in means)]
    table = _means(before.loc[begun], whole, kept, [name for name in noisy if name in runs])
    table["failed"] = [failed.get(uid, 0) for uid in table.index]
    judged = next((name for name in objectives if name in noisy), next(iter(objectives)))
    column = list(objectives).index(judged)
    table["searched"] = before[judged]
    table[["low", "high"]] = [
        interval(means[uid][:, column]) if uid in means else (np.nan, np.nan) for uid in table.index
    ]
    stable = table.index[table["failed"] == 0]
    means = {uid: means[uid] for uid in stable}
    table[["gain", "gain_low", "gain_high"]] = [
        _gain(whole, means, uid, twins.get(uid, uid), objectives) for uid in table.index
    ]
    table["front"] = non_dominated(table.loc[stable], objectives).reindex(table.index, fill_value=False)
    sure = front_probability(means, objectives)
    table["front_probability"] = [sure.get(uid, 0.0) for uid in table.index]
    tied = bands(means, objectives, judged)
    table["band"] = [tied.get(uid, 0) for uid in table.index]
    was = before["front"].reindex(table.index).astype(bool)
    told = zip(was, table["front"], table["front_probability"], table["failed"], strict=True)
    table["verdict"] = [_verdict(*each) for each in told]
    # Of the same recipes alone: hypervolumes of other sets would differ by more than luck.
    gap = optimism(before.loc[stable], table.loc[stable], objectives, reference)
    table = table.sort_values(judged, ascending=objectives[judged] == "minimize").reset_index()
    return Confirmed(table, objectives, judged, gap)


def _means(before: pd.DataFrame, runs: pd.DataFrame, fixed: list[str], noisy: list[str]) -> pd.DataFrame:
    groups = runs.groupby("uid", sort=False)
    spread = groups[noisy].std(ddof=1).add_suffix("_std")
    table = pd.DataFrame({"recipe": before["recipe"], "baseline": baseline_names(before)}, index=before.index)
    seeds = groups.size().reindex(before.index, fill_value=0).rename("seeds")
    return table.join(seeds).join(before[fixed]).join(groups[noisy].mean()).join(spread)


def _gain(
    runs: pd.DataFrame,
    means: Mapping[str, np.ndarray],
    uid: str,
    twin: str,
    objectives: Mapping[str, Direction],
) -> tuple[float, float, float]:
    """The mean gain in accuracy, and the 95% of it under the bootstrap."""
    if twin == uid or not {uid, twin} <= means.keys() or "accuracy" not in objectives:
        return np.nan, np.nan, np.nan
    column = list(objectives).index("accuracy")
    of = runs.groupby("uid")["accuracy"].mean()
    low, high = interval(means[uid][:, column] - means[twin][:, column])
    return float(of[uid] - of[twin]), low, high


def _verdict(was: bool, now: bool, probability: float, failed: int) -> str:
    if failed:
        return UNSTABLE
    if not now:
        return LUCK if was else OFF
    if not was:
        return ENTERS
    return HOLDS if probability >= 0.5 else UNSURE
