"""Parallel coordinates: every trial a line across its settings and its objectives."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kdsearch.pareto import words
from kdsearch.pareto._canvas import canvas, save
from kdsearch.pareto._style import BLUE, GREY, INK
from kdsearch.pareto.front import points_of
from kdsearch.pareto.marks import members
from kdsearch.pareto.recipes import varying
from kdsearch.pareto.view import drawn
from kdsearch.types import Direction

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_AXES, _TICKS = 7, 6


@dataclass(frozen=True)
class Axis:
    """One axis: its `values` per trial, and the `ticks` (value, text) where these are not plain numbers."""

    title: str
    values: np.ndarray
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Parallel:
    """The axes, and which of the trials are on the front."""

    axes: tuple[Axis, ...]
    front: np.ndarray


def parallel(
    trials: pd.DataFrame, objectives: Mapping[str, Direction], first: Sequence[str] = ()
) -> Parallel | None:
    """The settings in which `trials` differ, at most seven, those named `first` before all others, and
    then the objectives. Trials without a number for each objective are left out; None when fewer than two
    are left. What a trial does not have is a dash at the foot of the axis.
    """
    rows = trials[np.isfinite(points_of(trials, objectives)).all(axis=1)]
    if len(rows) < 2 or "config" not in rows:
        return None
    settings = varying(list(rows["config"]))
    order = [*(name for name in first if name in settings), *settings.columns]
    axes = [_setting(name, settings[name]) for name in list(dict.fromkeys(order))[:_AXES]]
    axes += [Axis(words.title(name), drawn(rows, name)) for name in objectives]
    return Parallel(tuple(axes), members(rows, objectives).to_numpy())


def parallel_figure(shown: Parallel) -> Figure:
    """The lines, the front's dark and the others' light; a range can be drawn on each axis to select."""
    from plotly.graph_objects import Figure, Parcoords

    order = np.argsort(shown.front, kind="stable")
    dimensions = [
        {
            "label": "<br>".join(textwrap.wrap(axis.title, 16)),
            "values": axis.values[order],
            **(
                {"tickvals": [at for at, _ in axis.ticks], "ticktext": [text for _, text in axis.ticks]}
                if axis.ticks
                else {}
            ),
        }
        for axis in shown.axes
    ]
    line = {
        "color": shown.front[order].astype(float),
        "cmin": 0,
        "cmax": 1,
        "colorscale": [[0, "#C8C8C8"], [1, BLUE]],
    }
    figure = Figure(Parcoords(line=line, dimensions=dimensions, labelside="top"))
    figure.update_layout(template="plotly_white", margin={"t": 110, "l": 90, "r": 60})
    return figure


def parallel_png(shown: Parallel, path: Path) -> None:
    """Draw the lines to `path`: the front's thick and dark, the others' thin and light."""
    figure, ((axes,),) = canvas(width=max(8.0, 1.35 * len(shown.axes)), height=5.0)
    heights = np.column_stack([_scaled(axis.values) for axis in shown.axes])
    places = np.arange(len(shown.axes))
    for member, style in (
        (False, {"color": GREY, "linewidth": 0.7, "alpha": 0.6}),
        (True, {"color": BLUE, "linewidth": 2}),
    ):
        for line in heights[shown.front == member]:
            axes.plot(places, line, marker="D" if member else None, markersize=4, **style)
    for place, axis in zip(places, shown.axes, strict=True):
        axes.axvline(place, color=INK, linewidth=0.8, zorder=0)
        for at, text in axis.ticks or _ends(axis.values):
            low, span = axis.values.min(), np.ptp(axis.values) or 1.0
            short = textwrap.shorten(text, 18, placeholder="…")
            # Not for the layout to make room for: the last axis would push all of them together.
            axes.text(place + 0.03, (at - low) / span, short, fontsize=8, color=INK, in_layout=False)
    axes.set_xticks(
        places,
        ["\n".join(textwrap.wrap(axis.title.replace(".", " "), 14)) for axis in shown.axes],
        fontsize=8.5,
    )
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title("Front: thick, with marks. All other trials: thin", loc="left", fontsize=10.5, color=INK)
    save(figure, path)


def _setting(name: str, values: pd.Series) -> Axis:
    title = name.removeprefix("distill.").removeprefix("losses.")
    missing = values.isna().to_numpy()
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    if np.isfinite(numbers[~missing]).all():
        low, span = numbers[~missing].min(), np.ptp(numbers[~missing]) or 1.0
        if not missing.any():
            return Axis(title, numbers)
        foot = low - 0.15 * span
        marks = (foot, "–"), (low, amount_of(low)), (low + span, amount_of(low + span))
        return Axis(title, np.where(missing, foot, numbers), marks)
    kinds = list(dict.fromkeys(values.fillna("–").astype(str)))
    places = values.fillna("–").astype(str).map({kind: float(at) for at, kind in enumerate(kinds)})
    return Axis(
        title, places.to_numpy(), tuple((float(at), kind) for at, kind in enumerate(kinds[: _TICKS * 2]))
    )


def amount_of(number: float) -> str:
    """A number at the end of an axis."""
    return words.tick(float(f"{number:.3g}"))


def _ends(values: np.ndarray) -> tuple[tuple[float, str], ...]:
    return tuple((float(at), amount_of(float(at))) for at in dict.fromkeys((values.min(), values.max())))


def _scaled(values: np.ndarray) -> np.ndarray:
    span = np.ptp(values)
    scaled: np.ndarray = (values - values.min()) / span if span else np.full(len(values), 0.5)
    return scaled
