"""Matplotlib figures in one style, for documents and for print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.files import replacing
from kdsearch.pareto import words
from kdsearch.pareto._style import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Dots to an inch.
DPI = 150


def canvas(width: float = 8.0, height: float = 5.0, *, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """A figure of `width` x `height` inches and its axes (rows, columns).

    Not through pyplot: it keeps every figure, and a backend, for the whole process.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(width, height), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def plain(axes: Axes, *, x: str = "", title: str = "") -> None:
    """Take away what carries nothing, and name the axes: `x` under them, `title` (of the ordinate) above."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, labelsize=10)
    axes.grid(color="#EAEAEA", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(x, fontsize=11.5, color=INK, labelpad=6)
    axes.set_title(title, fontsize=11.5, color=INK, loc="left", pad=10)


def ticks(axes: Axes, *, log_x: bool) -> None:
    """Numbers as a person writes them, and the x axis by its logarithm where that is asked for."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda number, _: words.tick(number)))


def save(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG."""
    with replacing(path) as part:
        figure.savefig(part, dpi=DPI, format="png")
