"""Which dimensions of the space decide an objective."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kdsearch.pareto import words
from kdsearch.pareto._canvas import canvas, plain, save
from kdsearch.pareto._style import BLUE
from kdsearch.registry import parts
from kdsearch.types import Direction

if TYPE_CHECKING:
    import optuna
    from plotly.graph_objects import Figure

_SHOWN = 12
#: With fewer trials, or a smaller share of them taken as the best, chance decides more than the space does.
_FEWEST, _BEST = 20, 0.25


def importances(study: optuna.Study, objectives: Mapping[str, Direction]) -> dict[str, dict[str, float]]:
    """The share of each dimension in who comes out best, by objective, the largest first.

    What the architecture alone decides is shared out among the dimensions of the student. Nothing is said of
    fewer than 20 trials.

    Args:
        study: Of the search; its values are in the order of `objectives`.
        objectives: Their directions.

    Watanabe et al. 2023 (PED-ANOVA), with its extension to conditional spaces, by Optuna.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import FrozenTrial, TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < _FEWEST:
        return {}
    found = {}
    for place, (name, direction) in enumerate(objectives.items()):
        searched = {key for trial in done for key in trial.params if _may_decide(name, key)}
        if not searched or len({trial.values[place] for trial in done}) == 1:
            continue
        # For Optuna less is better.
        sign = -1.0 if direction == "maximize" else 1.0

        def cost(trial: FrozenTrial, place: int = place, sign: float = sign) -> float:
            return sign * float(trial.values[place])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST)
            shares = get_param_importances(study, evaluator=evaluator, params=sorted(searched), target=cost)
        found[name] = dict(sorted(shares.items(), key=lambda item: -item[1]))
    return found


def _may_decide(objective: str, dimension: str) -> bool:
    part = parts("objective").get(objective)
    learned = part is None or part.facts.get("known") not in ("architecture", "timed")
    return learned or dimension.partition(".")[0] in ("student", "deploy")


def importance_figure(shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """Bars for each objective side by side, the most important dimensions on top."""
    from plotly.graph_objects import Bar
    from plotly.subplots import make_subplots

    titles = [words.label(name) for name in shares]
    figure = make_subplots(
        rows=len(shares), cols=1, subplot_titles=titles, vertical_spacing=0.28 / len(shares)
    )
    for row, own in enumerate(shares.values(), 1):
        top = _top(own)
        bar = Bar(
            x=list(top.values()),
            y=list(top),
            orientation="h",
            marker={"color": BLUE},
            hovertemplate="%{y}: %{x:.0%}<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(bar, row=row, col=1)
    figure.update_layout(template="plotly_white", height=110 + 320 * len(shares), margin={"l": 320})
    figure.update_xaxes(tickformat=".0%")
    return figure


def importance_png(shares: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw the bars of `shares` to `path`."""
    figure, grid = canvas(height=0.6 + 3.0 * len(shares), rows=len(shares))
    for axes, (name, own) in zip(grid[:, 0], shares.items(), strict=True):
        top = _top(own)
        plain(axes, title=f"What decides {words.label(name).lower()}")
        axes.barh([_short(key) for key in top], [100 * share for share in top.values()], color=BLUE)
        for place, share in enumerate(top.values()):
            axes.text(100 * share, place, f" {share:.0%}", va="center", fontsize=9)
        axes.set_xlabel("Share (%)")
    save(figure, path)


def _top(shares: Mapping[str, float]) -> dict[str, float]:
    """The largest shares, the largest last: bars are drawn from the bottom up."""
    return dict(list(shares.items())[:_SHOWN][::-1])


def _short(name: str) -> str:
    return name.removeprefix("distill.").removeprefix("losses.")
