"""How the front of a search grew: its hypervolume after each trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kdsearch.pareto import words
from kdsearch.pareto._canvas import canvas, plain, save
from kdsearch.pareto._style import BLUE
from kdsearch.pareto.front import Front, points_of
from kdsearch.pareto.indicators import hypervolume
from kdsearch.types import Direction

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def hypervolumes(
    trials: pd.DataFrame, objectives: Mapping[str, Direction], reference: Mapping[str, float]
) -> list[float]:
    """The hypervolume of the front after each row of `trials`, up to `reference`."""
    front, kept, values = Front(objectives), [], [0.0]
    for place, row in enumerate(points_of(trials, objectives).tolist()):
        if front.add(str(place), dict(zip(objectives, row, strict=True))).entered:
            kept = [int(key) for key in front.keys]
            values.append(hypervolume(trials.iloc[kept], objectives, reference))
        else:
            values.append(values[-1])
    return values[1:]


def hypervolume_figure(values: Sequence[float]) -> Figure:
    """The hypervolume of the front after each trial, in the order of `values`."""
    from plotly.graph_objects import Figure, Scatter

    line = {"shape": "hv", "color": BLUE, "width": 2.5}
    hover = "after %{x} trials: %{y:.4g}<extra></extra>"
    counts = list(range(1, len(values) + 1))
    figure = Figure(Scatter(x=counts, y=list(values), mode="lines", line=line, hovertemplate=hover))
    figure.update_layout(template="plotly_white", xaxis_title="Trials done", yaxis_title="Hypervolume")
    return figure


def hypervolume_png(values: Sequence[float], path: Path) -> None:
    """Draw `values` to `path`."""
    figure, ((axes,),) = canvas(height=3.6)
    plain(axes, x="Trials done", title="Hypervolume")
    axes.step(range(1, len(values) + 1), list(values), where="post", color=BLUE, linewidth=2)
    save(figure, path)


def stated(reference: Mapping[str, float]) -> str:
    """A reference point in words: `accuracy 0.00 %, size 1.2 MB`."""
    return ", ".join(f"{words.label(name).lower()} {words.value(name, at)}" for name, at in reference.items())
