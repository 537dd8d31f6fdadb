"""Colours, dashes and marks of all pictures, told apart by the colour-blind and in print."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any, NamedTuple

# Okabe and Ito's blue and vermillion, told apart by the colour-blind; shapes tell them apart in print.
BLUE, VERMILLION, GREY, INK = "#0072B2", "#D55E00", "#9A9A9A", "#222222"
_COLORS = (BLUE, VERMILLION, INK, "#009E73", "#CC79A7", "#7A6A00")

#: A dashed line, for Matplotlib.
DASHED = (0, (6, 2))

#: Of a Plotly figure: under it, in rows.
LEGEND = {"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom"}


class Line(NamedTuple):
    """The style of one line of several: its colour, and its dash and mark in a library's own words."""

    color: str
    dash: Any
    mark: str


def plotly_lines() -> Iterator[Line]:
    """Styles in turn, without end, for Plotly."""
    dashes = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
    marks = ("diamond", "square", "triangle-up", "circle", "x", "triangle-down")
    return map(Line, cycle(_COLORS), cycle(dashes), cycle(marks))


def matplotlib_lines() -> Iterator[Line]:
    """The same for Matplotlib."""
    gaps = ((6, 2), (2, 1.5), (6, 2, 1, 2), (1, 2), (9, 2, 2, 2, 2, 2))
    dashes = ("-", *((0, gap) for gap in gaps))
    return map(Line, cycle(_COLORS), cycle(dashes), cycle(("D", "s", "^", "o", "X", "v")))
