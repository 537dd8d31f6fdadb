"""The front of a search, judged by fresh runs of its members: means, spread, chances, ties and luck."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kdsearch.pareto.chance import bands, front_probability, interval, resampled_means
from kdsearch.pareto.front import Direction, non_dominated
from kdsearch.pareto.marks import baseline_names
from kdsearch.pareto.optimism import Optimism, optimism

HOLDS, UNSURE, LUCK, ENTERS, OFF = "holds", "unsure", "luck", "enters", ""


@dataclass(frozen=True)
class Confirmed:
    """What fresh runs say of a front.

    `table` has a row for each recipe, best first: `uid`, `recipe`, `baseline`, `seeds`, the mean of each
    objective, of each noisy metric also `…_std` (between runs, n-1), and of `judged`, the first objective
    that is noisy, `searched`, `low` and `high` (95% of the bootstrapped mean); `gain`, `gain_low` and
    `gain_high` over the same student from labels alone (NaN where that was not run); `front`,
    `front_probability`, `band` (recipes in one band can't be told apart), and `verdict`: `holds`, `unsure`
    (on the front, but in fewer than half of the resamples), `luck` (off the front that it was on), `enters`,
    or nothing.
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
    """
    before = searched.set_index("uid")
    kept = [name for name in objectives if name not in noisy]
    whole = runs.drop(columns=kept, errors="ignore").join(before[kept], on="uid")
    means = resampled_means(whole, objectives)
    table = _means(before.loc[list(means)], whole, kept, [name for name in noisy if name in runs])
    judged = next((name for name in objectives if name in noisy), next(iter(objectives)))
    column = list(objectives).index(judged)
    table["searched"] = before[judged]
    table[["low", "high"]] = [interval(means[uid][:, column]) for uid in table.index]
    table[["gain", "gain_low", "gain_high"]] = [
        _gain(whole, means, uid, twins.get(uid, uid), objectives) for uid in table.index
    ]
    table["front"] = non_dominated(table, objectives)
    table["front_probability"] = pd.Series(front_probability(means, objectives))
    table["band"] = pd.Series(bands(means, objectives, judged))
    was = before["front"].reindex(table.index).astype(bool)
    table["verdict"] = [
        _verdict(*each) for each in zip(was, table["front"], table["front_probability"], strict=True)
    ]
    table = table.sort_values(judged, ascending=objectives[judged] == "minimize").reset_index()
    # Of the recipes alone that were re-run: hypervolumes of other sets would differ by more than luck.
    gap = optimism(before.loc[list(means)], table, objectives, reference)
    return Confirmed(table, objectives, judged, gap)


def _means(before: pd.DataFrame, runs: pd.DataFrame, fixed: list[str], noisy: list[str]) -> pd.DataFrame:
    groups = runs.groupby("uid", sort=False)
    spread = groups[noisy].std(ddof=1).add_suffix("_std")
    table = pd.DataFrame({"recipe": before["recipe"], "baseline": baseline_names(before)}, index=before.index)
    return table.join(groups.size().rename("seeds")).join(groups[fixed + noisy].mean()).join(spread)


def _gain(
    runs: pd.DataFrame,
    means: Mapping[str, np.ndarray],
    uid: str,
    twin: str,
    objectives: Mapping[str, Direction],
) -> tuple[float, float, float]:
    """The mean gain in accuracy, and the 95% of it under the bootstrap."""
    if twin == uid or twin not in means or "accuracy" not in objectives:
        return np.nan, np.nan, np.nan
    column = list(objectives).index("accuracy")
    of = runs.groupby("uid")["accuracy"].mean()
    low, high = interval(means[uid][:, column] - means[twin][:, column])
    return float(of[uid] - of[twin]), low, high


def _verdict(was: bool, now: bool, probability: float) -> str:
    if not now:
        return LUCK if was else OFF
    if not was:
        return ENTERS
    return HOLDS if probability >= 0.5 else UNSURE
