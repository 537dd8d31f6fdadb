"""Fronts of several searches side by side: on one plot, and in numbers under one reference point."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kdsearch.errors import InputError
from kdsearch.pareto import words
from kdsearch.pareto._canvas import canvas, plain, save
from kdsearch.pareto._style import LEGEND, matplotlib_lines, plotly_lines
from kdsearch.pareto.attainment import attainment
from kdsearch.pareto.distance import additive_epsilon, igd_plus
from kdsearch.pareto.front import non_dominated
from kdsearch.pareto.indicators import hypervolume
from kdsearch.pareto.view import drawn, view
from kdsearch.types import Direction

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Fronts = Mapping[str, pd.DataFrame]

_MEDIAN = "median attainment"


def shared_objectives(each: Mapping[str, Mapping[str, Direction]]) -> dict[str, Direction]:
    """The objectives that every search has, with one direction.

    Raises:
        InputError: When there are fewer than two.
    """
    first, *others = each.values()
    shared: dict[str, Direction] = {n: w for n, w in first.items() if all(o.get(n) == w for o in others)}
    if len(shared) < 2:
        raise InputError(f"{' and '.join(each)} share fewer than two objectives: there is nothing to compare")
    return shared


def common_reference(
    references: list[Mapping[str, float]], objectives: Mapping[str, Direction]
) -> dict[str, float]:
    """The worst of the `references` in each objective: hypervolumes compare only up to one point."""
    worst = {"maximize": min, "minimize": max}
    return {name: worst[way](point[name] for point in references) for name, way in objectives.items()}


def compared(
    fronts: Fronts, objectives: Mapping[str, Direction], reference: Mapping[str, float]
) -> pd.DataFrame:
    """A row for each search: `search`, `members`, `hypervolume` up to `reference`, and how far its front is
    from the joint front of all: `igd_plus` and `additive_epsilon`, in ranges of that front.
    """
    every = pd.concat(list(fronts.values()))
    joint = every[non_dominated(every, objectives)]
    return pd.DataFrame(
        [
            {
                "search": name,
                "members": len(front),
                "hypervolume": hypervolume(front, objectives, reference),
                "igd_plus": igd_plus(front, joint, objectives),
                "additive_epsilon": additive_epsilon(front, joint, objectives),
            }
            for name, front in fronts.items()
        ]
    )


def compare_figure(
    fronts: Fronts, objectives: Mapping[str, Direction], table: pd.DataFrame, *, x: str, y: str
) -> Figure:
    """The fronts in the metrics `x` and `y`, each with its hypervolume of `table` beside its name.

    With three searches and more the median attainment of all stands under them.
    """
    from plotly.graph_objects import Figure, Scatter

    figure, pair = Figure(), {name: objectives[name] for name in (x, y)}
    for (name, front), (color, dash, symbol) in zip(_drawn(fronts, pair), plotly_lines(), strict=False):
        step = view(front, pair, x, y).step
        line = {"color": color, "dash": dash, "width": 2}
        label = html.escape(_label(name, table))
        figure.add_trace(
            Scatter(x=step[:, 0], y=step[:, 1], mode="lines", line=line, hoverinfo="skip", name=label)
        )
        if name == _MEDIAN:
            continue
        recipes = [
            "<br>".join(map(html.escape, textwrap.wrap(str(recipe), 60))) for recipe in front["recipe"]
        ]
        figure.add_trace(
            Scatter(
                x=drawn(front, x),
                y=drawn(front, y),
                mode="markers",
                marker={"color": color, "symbol": symbol, "size": 11},
                hovertext=recipes,
                hovertemplate="<b>%{hovertext}</b><br>%{y:.4g}, %{x:.4g}<extra></extra>",
                showlegend=False,
            )
        )
    wide = any(view(front, objectives, x, y).log_x for _, front in _drawn(fronts, pair))
    figure.update_layout(
        template="plotly_white",
        title=" and ".join(map(html.escape, fronts)),
        xaxis_title=words.title(x),
        yaxis_title=words.title(y),
        xaxis_type="log" if wide else "linear",
        legend=LEGEND,
    )
    return figure


def compare_png(
    fronts: Fronts, objectives: Mapping[str, Direction], table: pd.DataFrame, x: str, y: str, path: Path
) -> None:
    """Draw the same to `path`."""
    figure, ((axes,),) = canvas()
    pair = {name: objectives[name] for name in (x, y)}
    plain(axes, x=words.title(x), title=words.title(y))
    for (name, front), (color, dash, mark) in zip(_drawn(fronts, pair), matplotlib_lines(), strict=False):
        shown = view(front, pair, x, y)
        axes.plot(shown.step[:, 0], shown.step[:, 1], color=color, linestyle=dash, zorder=2)
        if name == _MEDIAN:
            axes.plot([], [], color=color, linestyle=dash, label=name)
            continue
        style = {"color": color, "linestyle": dash, "marker": mark, "markersize": 7}
        axes.plot([], [], label=_label(name, table), **style)
        axes.plot(drawn(front, x), drawn(front, y), **(style | {"linestyle": "none"}), zorder=3)
        if shown.log_x:
            axes.set_xscale("log")
    axes.legend(frameon=False, fontsize=9.5)
    save(figure, path)


def _drawn(fronts: Fronts, pair: Mapping[str, Direction]) -> list[tuple[str, pd.DataFrame]]:
    """The fronts, and from three on their median attainment, in the `pair` of objectives."""
    every = list(fronts.items())
    if len(fronts) < 3:
        return every
    return [*every, (_MEDIAN, attainment(list(fronts.values()), pair, 0.5))]


def _label(name: str, table: pd.DataFrame) -> str:
    volumes = table.set_index("search")["hypervolume"]
    return f"{name}: hypervolume {words.short(float(volumes[name]))}" if name in volumes else name
