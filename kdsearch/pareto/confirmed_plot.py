"""The picture of a confirmed front: means with their intervals, and where the search had seen them."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kdsearch.pareto import words
from kdsearch.pareto._canvas import canvas, plain, save, ticks
from kdsearch.pareto._style import BLUE, GREY, INK, LEGEND, VERMILLION
from kdsearch.pareto.confirmed import Confirmed
from kdsearch.pareto.view import drawn, is_wide

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_KINDS = (
    ("on the confirmed front", "diamond", "D", BLUE),
    ("off the front: it was luck", "x", "X", VERMILLION),
    ("unstable: some of its runs failed", "triangle-down", "v", VERMILLION),
    ("other recipes", "circle", "o", GREY),
)


def confirmed_figure(confirmed: Confirmed) -> Figure:
    """Means and 95% intervals in the first objective over the second; hollow circles are as searched."""
    from plotly.graph_objects import Figure, Scatter

    y, x = _axes(confirmed)
    figure = Figure()
    for low, high in _levels(confirmed):
        figure.add_hrect(y0=low, y1=high, fillcolor=GREY, opacity=0.13, line_width=0)
    for (name, symbol, _, color), rows in _groups(confirmed):
        middle, lows, highs, before = _values(rows, y)
        figure.add_trace(
            Scatter(
                x=drawn(rows, x),
                y=middle,
                mode="markers",
                name=name,
                marker={"symbol": symbol, "size": 12, "color": color},
                error_y={
                    "type": "data",
                    "array": highs - middle,
                    "arrayminus": middle - lows,
                    "color": color,
                },
                hovertext=[_hover(row, y) for row in rows.to_dict("records")],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
        hollow = {"symbol": "circle-open", "size": 9, "color": color}
        figure.add_trace(
            Scatter(
                x=drawn(rows, x), y=before, mode="markers", marker=hollow, showlegend=False, hoverinfo="skip"
            )
        )
    figure.update_layout(
        template="plotly_white",
        xaxis_title=words.title(x),
        yaxis_title=words.title(y),
        xaxis_type="log" if is_wide(drawn(confirmed.table, x)) else "linear",
        legend=LEGEND,
    )
    return figure


def confirmed_png(confirmed: Confirmed, path: Path) -> None:
    """Draw the same to `path`."""
    y, x = _axes(confirmed)
    figure, ((axes,),) = canvas()
    plain(axes, x=words.title(x), title=f"{words.title(y)}, mean and 95% interval over fresh seeds")
    ticks(axes, log_x=is_wide(drawn(confirmed.table, x)))
    for low, high in _levels(confirmed):
        axes.axhspan(low, high, color=GREY, alpha=0.13, linewidth=0)
    for (name, _, mark, color), rows in _groups(confirmed):
        middle, lows, highs, before = _values(rows, y)
        style: dict[str, Any] = {"color": color, "markersize": 7, "capsize": 4, "linestyle": "none"}
        axes.errorbar(
            drawn(rows, x), middle, (middle - lows, highs - middle), marker=mark, label=name, **style
        )
        axes.scatter(drawn(rows, x), before, 36, facecolors="none", edgecolors=color)
    axes.scatter([], [], 36, facecolors="none", edgecolors=INK, label="as searched")
    axes.legend(frameon=False, fontsize=9.5)
    save(figure, path)


def _axes(confirmed: Confirmed) -> tuple[str, str]:
    """The objective that has intervals, over the first of the others."""
    return confirmed.judged, next((n for n in confirmed.objectives if n != confirmed.judged), "seeds")


def _values(rows: pd.DataFrame, y: str) -> tuple[np.ndarray, ...]:
    factor = 100.0 if words.is_fraction(y) else 1.0
    return tuple(factor * rows[name].to_numpy(dtype=float) for name in (y, "low", "high", "searched"))


def _groups(confirmed: Confirmed) -> list[tuple[tuple[str, str, str, str], pd.DataFrame]]:
    table = confirmed.table
    luck, unstable = table["verdict"] == "luck", table["failed"] > 0
    rows = [table[table["front"]], table[luck], table[unstable], table[~(table["front"] | luck | unstable)]]
    return [(kind, own) for kind, own in zip(_KINDS, rows, strict=True) if len(own)]


def _levels(confirmed: Confirmed) -> list[tuple[float, float]]:
    """From the lowest to the highest mean of each band of several recipes."""
    rows = confirmed.table[confirmed.table["band"] > 0].sort_values("band")
    levels = zip(rows["band"], drawn(rows, confirmed.judged), strict=True)
    bands = [[value for _, value in own] for _, own in groupby(levels, key=lambda pair: pair[0])]
    return [(min(own), max(own)) for own in bands if len(own) > 1]


def _hover(row: Mapping[Any, Any], y: str) -> str:
    recipe = "<br>".join(html.escape(line) for line in textwrap.wrap(str(row["recipe"]), 60))
    spread = [words.value(y, row[name]) for name in ("low", "high", "searched")]
    return (
        f"<b>{recipe}</b><br>{words.value(y, row[y])}, 95% from {spread[0]} to {spread[1]}"
        f"<br>as searched {spread[2]}<br>non-dominated in {row['front_probability']:.0%} of resamples"
        f"<br>band {row['band']}"
    )
