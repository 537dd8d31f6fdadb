"""Interactive pictures of a search, by Plotly."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kdsearch.pareto import words
from kdsearch.pareto._style import BLUE, GREY, INK, LEGEND, VERMILLION
from kdsearch.pareto.marks import members
from kdsearch.pareto.view import Group, View, drawn, view
from kdsearch.types import Direction

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_BASELINES = ("square", "triangle-up", "cross", "x", "star")
#: For the axes, beside the objectives, in this order.
_OFFERED = ("accuracy", "test_accuracy", "size_mb", "latency_ms", "parameters", "macs")
_HOVERED = ("test_accuracy", "gain", "latency_ms", "size_mb", "macs", "parameters")


def front_figure(
    trials: pd.DataFrame,
    objectives: Mapping[str, Direction],
    *,
    x: str,
    y: str,
    teachers: Mapping[str, float] | None = None,
) -> Figure:
    """Every trial in the metrics `x` and `y`, the front joined by its step line, baselines apart.

    Args:
        trials: A row each, with columns `recipe`, `baseline`, `front` and the metrics; what is absent is
            left out, a missing `front` computed.
        objectives: The direction of each. A menu offers other pairs of axes: of objectives, and of what else
            is known of every complete trial.
        teachers: Accuracy of each in [0, 1], drawn as levels where `y` is an accuracy.
    """
    from plotly.graph_objects import Figure

    trials = trials.assign(front=members(trials, objectives)).reset_index(drop=True)
    names = choosable(trials, objectives)
    others = [_upright(a, b, objectives) for a, b in combinations(names, 2) if {a, b} != {x, y}]
    views = [view(trials, objectives, a, b) for a, b in [(x, y), *others]]
    groups = _groups(views[0])
    figure = Figure(data=_traces(views[0], groups, objectives), layout=_layout(views[0], teachers or {}))
    figure.update_layout(
        template="plotly_white",
        font={"family": "Inter, Helvetica, Arial, sans-serif", "size": 14, "color": INK},
        hoverlabel={"align": "left", "bgcolor": "white", "font": {"color": INK}},
        legend=LEGEND,
        margin={"t": 70, "r": 30, "b": 90, "l": 70},
    )
    figure.update_xaxes(showline=True, linecolor=INK, ticks="outside", zeroline=False)
    figure.update_yaxes(showline=True, linecolor=INK, ticks="outside", zeroline=False)
    if len(views) > 1:
        # They are of the axis that was asked for: on the test split teachers are worth something else.
        levels = [teachers or {} if each.y in (y, "accuracy") else {} for each in views]
        buttons = [_button(each, groups, own) for each, own in zip(views, levels, strict=True)]
        chooser = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
        figure.update_layout(updatemenus=[chooser])
    return figure


def _upright(a: str, b: str, objectives: Mapping[str, Direction]) -> tuple[str, str]:
    """The pair with what is maximised on the vertical axis, where one is."""
    return (b, a) if objectives.get(a, words.direction(a)) == "maximize" else (a, b)


def choosable(trials: pd.DataFrame, objectives: Mapping[str, Direction]) -> list[str]:
    """What may stand on an axis: the objectives, and of `_OFFERED` what every complete trial has.

    Of a test figure it is enough that every member of the front has it: no other trial is tested.
    """
    done = trials[trials["state"] == "complete"] if "state" in trials else trials
    front = done[members(done, objectives)]
    known = [
        name
        for name in _OFFERED
        if name in trials
        and len(rows := front if name.startswith("test_") else done)
        and np.isfinite(drawn(rows, name)).all()
    ]
    return list(dict.fromkeys([*objectives, *known]))


def _groups(shown: View) -> list[Group]:
    """The rows of each trace. Members of the front stand in two: which shows them depends on the axes."""
    both = pd.concat([shown.apart.rows, shown.front.rows]).sort_index()
    return [
        shown.others,
        *shown.baselines,
        Group(shown.apart.name, both),
        Group(shown.front.name, both),
    ]


def _points(shown: View, groups: Sequence[Group]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Where the step line and each row of each group are drawn; NaN for a row that another trace shows."""
    front = shown.front.rows.index
    found = [(shown.step[:, 0], shown.step[:, 1])]
    for group in groups:
        leading = group.rows.index.isin(front)
        hidden = ~leading if group.name == shown.front.name else leading & (group.name == shown.apart.name)
        x, y = (np.where(hidden, np.nan, drawn(group.rows, name)) for name in (shown.x, shown.y))
        found.append((x, y))
    return found


def _is_seen(x: np.ndarray, y: np.ndarray) -> bool:
    return bool((np.isfinite(x) & np.isfinite(y)).any())


def _traces(shown: View, groups: Sequence[Group], objectives: Mapping[str, Direction]) -> list[Any]:
    from plotly.graph_objects import Scatter

    step = {"color": BLUE, "width": 2}
    count = len(shown.baselines)
    markers = [
        _marker("circle-open", 8, GREY),
        *(_marker(_BASELINES[place % len(_BASELINES)], 13, VERMILLION) for place in range(count)),
        _marker("diamond-open", 11, BLUE),
        _marker("diamond", 12, BLUE),
    ]
    (steps, *points) = _points(shown, groups)
    line = Scatter(x=steps[0], y=steps[1], mode="lines", line=step, hoverinfo="skip", showlegend=False)
    names = list(dict.fromkeys([shown.y, shown.x, *objectives, *_HOVERED, *_OFFERED]))
    return [
        line,
        *(
            Scatter(
                x=x,
                y=y,
                mode="markers",
                name=html.escape(group.name),
                showlegend=_is_seen(x, y),
                marker=marker,
                hovertext=_hover(group.rows, names),
                hovertemplate="%{hovertext}<extra></extra>",
            )
            for group, (x, y), marker in zip(groups, points, markers, strict=True)
        ),
    ]


def _marker(symbol: str, size: int, color: str) -> dict[str, Any]:
    edge = {"color": color if symbol.endswith("open") else INK, "width": 1.5}
    return {"symbol": symbol, "size": size, "color": color, "line": edge}


def _hover(rows: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The recipe and the values of each row, as the HTML that Plotly understands."""
    texts = []
    for _, row in rows.iterrows():
        recipe = textwrap.wrap(str(row.get("recipe", row.get("uid", ""))), 60)
        values = pd.to_numeric(row.reindex(list(names)), errors="coerce").astype(float).dropna()
        lines = [
            f"{words.label(str(name))}: {words.value(str(name), value)}" for name, value in values.items()
        ]
        texts.append(
            "<br>".join([f"<b>{html.escape(line)}</b>" for line in recipe] + list(map(html.escape, lines)))
        )
    return texts


def _layout(shown: View, teachers: Mapping[str, float]) -> dict[str, Any]:
    levels = teachers if shown.y in ("accuracy", "test_accuracy") else {}
    return {
        "xaxis.title.text": html.escape(words.title(shown.x)),
        "yaxis.title.text": html.escape(words.title(shown.y)),
        "xaxis.type": "log" if shown.log_x else "linear",
        "xaxis.dtick": "D2" if shown.log_x else None,
        "shapes": [_level(100 * level) for level in levels.values()],
        # Side by side: teachers are often equally good, and labels above each other would overlap.
        "annotations": [
            _level_label(name, 100 * level, x=1 - index / len(levels))
            for index, (name, level) in enumerate(levels.items())
        ],
    }


def _level(y: float) -> dict[str, Any]:
    line = {"color": INK, "width": 1.2, "dash": "dash"}
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": line,
        "layer": "below",
    }


def _level_label(name: str, y: float, x: float) -> dict[str, Any]:
    text = f"teacher {html.escape(name)} {y:.2f} %"
    place = {"xref": "paper", "x": x, "xanchor": "right", "y": y, "yanchor": "bottom"}
    return {**place, "text": text, "showarrow": False, "font": {"size": 12}}


def _button(shown: View, groups: Sequence[Group], teachers: Mapping[str, float]) -> dict[str, Any]:
    points = _points(shown, groups)
    data = {
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "showlegend": [False, *(_is_seen(*each) for each in points[1:])],
    }
    name = f"{words.label(shown.y)} against {words.within(shown.x)}"
    layout = {**_layout(shown, teachers), "xaxis.autorange": True, "yaxis.autorange": True}
    return {"label": html.escape(name), "method": "update", "args": [data, layout]}
