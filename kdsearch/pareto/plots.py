"""Interactive pictures of a search, by Plotly."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pandas as pd

from kdsearch.pareto import words
from kdsearch.pareto._canvas import BLUE, GREY, INK, VERMILLION
from kdsearch.pareto.front import Direction
from kdsearch.pareto.view import View, drawn, view

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_BASELINES = ("square", "triangle-up", "cross", "x", "star")
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
        objectives: The direction of each. With more than two, a menu changes the pair of axes.
        teachers: Accuracy of each in [0, 1], drawn as levels where `y` is an accuracy.
    """
    from plotly.graph_objects import Figure

    others = [_upright(a, b, objectives) for a, b in combinations(objectives, 2) if {a, b} != {x, y}]
    views = [view(trials, objectives, a, b) for a, b in [(x, y), *others]]
    figure = Figure(data=_traces(views[0], objectives), layout=_layout(views[0], teachers or {}))
    figure.update_layout(
        template="plotly_white",
        font={"family": "Inter, Helvetica, Arial, sans-serif", "size": 14, "color": INK},
        hoverlabel={"align": "left", "bgcolor": "white", "font": {"color": INK}},
        legend={"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom", "x": 0},
        margin={"t": 70, "r": 30, "b": 90, "l": 70},
    )
    figure.update_xaxes(showline=True, linecolor=INK, ticks="outside", zeroline=False)
    figure.update_yaxes(showline=True, linecolor=INK, ticks="outside", zeroline=False)
    if len(views) > 1:
        buttons = [_button(each, objectives, teachers or {}) for each in views]
        chooser = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
        figure.update_layout(updatemenus=[chooser])
    return figure


def _upright(a: str, b: str, objectives: Mapping[str, Direction]) -> tuple[str, str]:
    """The pair with what is maximised on the vertical axis, where one is."""
    return (b, a) if objectives[a] == "maximize" else (a, b)


def _traces(shown: View, objectives: Mapping[str, Direction]) -> list[Any]:
    from plotly.graph_objects import Scatter

    step = {"color": BLUE, "width": 2}
    styles: list[tuple[str, pd.DataFrame, dict[str, Any]]] = [
        (shown.others.name, shown.others.rows, _marker("circle-open", 8, GREY)),
        *(
            (group.name, group.rows, _marker(_BASELINES[place % len(_BASELINES)], 13, VERMILLION))
            for place, group in enumerate(shown.baselines)
        ),
        (shown.apart.name, shown.apart.rows, _marker("diamond-open", 11, BLUE)),
        (shown.front.name, shown.front.rows, _marker("diamond", 12, BLUE)),
    ]
    line = Scatter(
        x=shown.step[:, 0], y=shown.step[:, 1], mode="lines", line=step, hoverinfo="skip", showlegend=False
    )
    names = list(dict.fromkeys([shown.y, shown.x, *objectives, *_HOVERED]))
    return [
        line,
        *(
            Scatter(
                x=drawn(rows, shown.x),
                y=drawn(rows, shown.y),
                mode="markers",
                name=html.escape(name),
                marker=marker,
                hovertext=_hover(rows, names),
                hovertemplate="%{hovertext}<extra></extra>",
            )
            for name, rows, marker in styles
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


def _button(
    shown: View, objectives: Mapping[str, Direction], teachers: Mapping[str, float]
) -> dict[str, Any]:
    traces = _traces(shown, objectives)
    data = {key: [trace[key] for trace in traces] for key in ("x", "y", "hovertext")}
    name = f"{words.label(shown.y)} against {words.label(shown.x).lower()}"
    layout = {**_layout(shown, teachers), "xaxis.autorange": True, "yaxis.autorange": True}
    return {"label": html.escape(name), "method": "update", "args": [data, layout]}
