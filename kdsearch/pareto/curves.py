"""How the students of the front learned: accuracy on the validation split over the epochs."""

from __future__ import annotations

import html
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kdsearch.pareto._canvas import canvas, plain, save
from kdsearch.pareto._style import LEGEND, matplotlib_lines, plotly_lines

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SHOWN = 12


def curves(trials: pd.DataFrame) -> dict[str, list[float]]:
    """The accuracy (%) after each epoch, by recipe, of those rows of `trials` whose `curve` tells it.

    `curve` is a list with a mapping for each epoch.
    """
    found: dict[str, list[float]] = {}
    for row in trials.to_dict("records"):
        told: Any = row.get("curve")
        points = [100 * epoch["accuracy"] for epoch in told if "accuracy" in epoch] if told else []
        if points:
            found[str(row["recipe"])] = points
    return dict(list(found.items())[:_SHOWN])


def curves_figure(shown: dict[str, list[float]]) -> Figure:
    """A line for each recipe, told apart by dashes and marks."""
    from plotly.graph_objects import Figure, Scatter

    lines = [
        Scatter(
            x=list(range(1, len(values) + 1)),
            y=values,
            mode="lines+markers",
            name=html.escape(textwrap.shorten(recipe, 90, placeholder=" …")),
            line={"color": color, "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 7},
            hovertemplate="epoch %{x}: %{y:.2f} %",
        )
        for (recipe, values), (color, dash, symbol) in zip(shown.items(), plotly_lines(), strict=False)
    ]
    figure = Figure(lines)
    figure.update_layout(
        template="plotly_white",
        xaxis_title="Epoch",
        yaxis_title="Accuracy (%)",
        legend=LEGEND,
        margin={"b": 40 + 28 * len(shown)},
        height=480 + 26 * len(shown),
    )
    return figure


def curves_png(shown: dict[str, list[float]], path: Path) -> None:
    """Draw the lines of `shown` to `path`."""
    figure, ((axes,),) = canvas(height=4.4 + 0.22 * len(shown))
    plain(axes, x="Epoch", title="Accuracy (%)")
    for (recipe, values), (color, dash, mark) in zip(shown.items(), matplotlib_lines(), strict=False):
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=color,
            linestyle=dash,
            marker=mark,
            markersize=5,
            label=textwrap.shorten(recipe, 95, placeholder=" …"),
        )
    axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", frameon=False, fontsize=8.5)
    save(figure, path)
