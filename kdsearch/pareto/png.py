"""The picture of a front for documents, by Matplotlib: the same as the interactive one, labelled in place."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kdsearch.pareto import words
from kdsearch.pareto._canvas import canvas, plain, save, ticks
from kdsearch.pareto._placing import Placer
from kdsearch.pareto._style import BLUE, GREY, INK, VERMILLION
from kdsearch.pareto.front import non_dominated
from kdsearch.pareto.indicators import knee
from kdsearch.pareto.view import Group, View, drawn, view
from kdsearch.types import Direction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BASELINES = ("s", "^", "P", "X", "*")
#: Up to so many marks of one kind have their name beside them, more than that have it in the key.
_NAMED = 3


def front_png(
    trials: pd.DataFrame,
    objectives: Mapping[str, Direction],
    x: str,
    y: str,
    path: Path,
    teachers: Mapping[str, float] | None = None,
) -> None:
    """Draw `trials` in the metrics `x` and `y` to `path`: 1200 x 750 pixels.

    The arguments are those of `front_figure`. Trials far worse in `y` than the front and the baselines are
    left under the lower edge, and counted there.
    """
    shown = view(trials, objectives, x, y)
    levels = {name: 100 * level for name, level in (teachers or {}).items()}
    if y not in ("accuracy", "test_accuracy"):
        levels = {}
    figure, ((axes,),) = canvas()
    _frame(axes, shown)
    _hollow(axes, shown.others, shown, "o", 26, GREY)
    axes.plot(shown.step[:, 0], shown.step[:, 1], color=BLUE, linewidth=1.8, zorder=3)
    for place, group in enumerate(shown.baselines):
        _solid(axes, group, shown, _BASELINES[place % len(_BASELINES)], 80, VERMILLION)
    _hollow(axes, shown.apart, shown, "D", 36, BLUE)
    _solid(axes, shown.front, shown, "D", 52, BLUE)
    for level in levels.values():
        axes.axhline(level, color=INK, linewidth=1.0, linestyle=(0, (5, 4)), zorder=1)
    _focus(axes, shown, list(levels.values()), objectives.get(y, words.direction(y)))
    _key(axes, shown)
    figure.draw_without_rendering()
    _labels(axes, shown, objectives, levels)
    save(figure, path)


def _xy(rows: pd.DataFrame, shown: View) -> np.ndarray:
    return np.column_stack([drawn(rows, shown.x), drawn(rows, shown.y)])


def _hollow(axes: Axes, group: Group, shown: View, marker: str, size: float, color: str) -> None:
    across, up = _xy(group.rows, shown).T
    style: dict[str, Any] = {"facecolors": "white", "edgecolors": color, "linewidths": 1.2, "zorder": 2}
    axes.scatter(across, up, size, marker=marker, label=group.name, **style)


def _solid(axes: Axes, group: Group, shown: View, marker: str, size: float, color: str) -> None:
    across, up = _xy(group.rows, shown).T
    style: dict[str, Any] = {"facecolors": color, "edgecolors": "white", "linewidths": 1.0, "zorder": 4}
    axes.scatter(across, up, size, marker=marker, label=group.name, **style)


def _key(axes: Axes, shown: View) -> None:
    """Of the marks that have no name beside them, on the line of the title."""
    many = (group for group in shown.baselines if len(group.rows) > _NAMED)
    groups = [group.name for group in (shown.front, shown.apart, *many, shown.others) if len(group.rows)]
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(
        [handles[name] for name in groups],
        groups,
        ncols=len(groups),
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.2,
        frameon=False,
        fontsize=9.5,
        handletextpad=0.1,
        columnspacing=1.2,
        labelcolor=INK,
    )


def _frame(axes: Axes, shown: View) -> None:
    plain(axes, x=words.title(shown.x), title=words.title(shown.y))
    ticks(axes, log_x=shown.log_x)


def _focus(axes: Axes, shown: View, levels: list[float], direction: Direction) -> None:
    """Cut off the trials that would squeeze the front into a strip."""
    groups = [shown.front, shown.apart, *shown.baselines]
    kept = np.concatenate([*(drawn(group.rows, shown.y) for group in groups), np.array(levels)])
    every = np.concatenate([kept, drawn(shown.others.rows, shown.y)])
    if direction == "minimize" or not len(kept) or np.ptp(kept) == 0:
        return
    low = max(every.min(), kept.min() - 0.4 * np.ptp(kept))
    pad = 0.06 * (every.max() - low)
    axes.set_ylim(low - pad, every.max() + pad)
    if below := int((every < low - pad).sum()):
        note = f"{below} trial{'s' if below > 1 else ''} below ↓"
        axes.annotate(
            note, (1, 0), (-4, 5), "axes fraction", "offset points", ha="right", fontsize=9, color="#666666"
        )


def _labels(
    axes: Axes, shown: View, objectives: Mapping[str, Direction], levels: Mapping[str, float]
) -> None:
    """Names beside what they name, where there is room."""
    placer = Placer(axes)
    for group in (shown.others, shown.front, shown.apart, *shown.baselines):
        placer.avoid(_xy(group.rows, shown))
    placer.avoid_line(shown.step)
    for level in levels.values():
        placer.avoid_level(level)
    for name, level in levels.items():
        placer.level(f"teacher {name}, {level:.2f} %", level, INK)
    for group in shown.baselines:
        for point in _xy(group.rows, shown) if len(group.rows) <= _NAMED else ():
            placer.name(point, group.name, VERMILLION)
    for name, row in _notable(shown, objectives).items():
        values = [words.value(metric, float(row[metric].iloc[0])) for metric in (shown.y, shown.x)]
        recipe = textwrap.shorten(
            str(row.get("recipe", row.get("uid", row.index.to_series())).iloc[0]), 48, placeholder=" …"
        )
        placer.beside(_xy(row, shown)[0], f"{name}: {', '.join(values)}\n{recipe}", BLUE)


def _notable(shown: View, objectives: Mapping[str, Direction]) -> dict[str, pd.DataFrame]:
    """The best in `y` and the knee, each a frame of one row; the knee only where it is another."""
    front = pd.concat([shown.front.rows, shown.apart.rows])
    if not non_dominated(front, objectives).any():
        return {}
    better = -1 if objectives.get(shown.y, words.direction(shown.y)) == "maximize" else 1
    best = int((better * drawn(front, shown.y)).argmin())
    bend = int(np.flatnonzero(front.index == knee(front, objectives))[0])
    rows = {"best": front.iloc[[best]], "knee": front.iloc[[bend]]}
    return rows if best != bend else {"best": rows["best"]}
