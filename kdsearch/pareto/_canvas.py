"""Matplotlib figures in one style, for documents and for print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.files import replacing
from kdsearch.pareto import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's blue and vermillion, told apart by the colour-blind; shapes tell them apart in print.
BLUE, VERMILLION, GREY, INK = "#0072B2", "#D55E00", "#9A9A9A", "#222222"
DPI = 150
#: Told apart without colour: in turn for the lines of a picture.
DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (2, 1.5)),
    (0, (6, 2, 1, 2)),
    (0, (1, 2)),
    (0, (9, 2, 2, 2, 2, 2)),
)
COLORS = (BLUE, VERMILLION, INK, "#009E73", "#CC79A7", "#7A6A00")
MARKS = ("D", "s", "^", "o", "X", "v")


def canvas(width: float = 8.0, height: float = 5.0, *, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """A figure of `width` x `height` inches and its axes[rows, columns].

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
