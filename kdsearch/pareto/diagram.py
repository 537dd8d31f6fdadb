"""Whom a student imitates, and where: its teachers, how they are combined, and the matched layers, drawn."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.pareto._canvas import BLUE, DASHES, INK, VERMILLION, canvas, save
from kdsearch.pareto.recipes import amount, matches, members, teachers
from kdsearch.registry import find
from kdsearch.space import describe_model
from kdsearch.space.canonical import needs_members

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 8
_STUDENT, _MIDDLE, _TEACHER = 0.14, 0.5, 0.86


@dataclass(frozen=True)
class Link:
    """A teacher's layer that a student's layer imitates, on the losses `label`."""

    student: str
    teacher: str
    layer: str
    label: str


@dataclass(frozen=True)
class Diagram:
    """A config as a drawing: what the student learns from labels, from the ensemble, and layer by layer."""

    student: str
    labels: str
    outputs: str
    ensemble: str
    members: tuple[str, ...]
    teachers: tuple[str, ...]
    links: tuple[Link, ...]


def diagram(config: Mapping[str, Any]) -> Diagram:
    """What is to be drawn of a config."""
    losses, use = config["distill"]["losses"], config["distill"]["teachers"]
    links: dict[tuple[str, str, str], list[str]] = {}
    texts: dict[str, list[str]] = {"labels": [], "outputs": []}
    for label, loss in losses.items():
        text = f"{amount(loss['weight'])} {label}"
        for match in matches(loss):
            pairs = [("all layers", "all layers")] if match["pairs"] == "all" else match["pairs"]
            for ours, theirs in pairs:
                links.setdefault((amount(ours), match["teacher"], amount(theirs)), []).append(text)
        if not matches(loss):
            taught = needs_members(find("loss", loss["name"]))
            heat = f", T {amount(loss['temperature'])}" if "temperature" in loss else ""
            texts["outputs" if taught else "labels"].append(text + heat)
    return Diagram(
        student=describe_model(config["student"]),
        labels="\n".join(texts["labels"]),
        outputs="\n".join(texts["outputs"]),
        ensemble=_ensemble(use) if len(use["members"]) > 1 else "",
        members=tuple(members(config)),
        teachers=tuple(teachers(config)),
        links=tuple(Link(*ends, " + ".join(text)) for ends, text in links.items()),
    )


def diagrams_png(shown: Sequence[tuple[str, Diagram]], path: Path) -> None:
    """Draw titled diagrams under each other to `path`."""
    save(_draw(shown), path)


def diagrams_svg(shown: Sequence[tuple[str, Diagram]]) -> str:
    """The same as an SVG element, whose text can be searched."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        written = io.StringIO()
        _draw(shown).savefig(written, format="svg")
    return re.sub(r"^.*?(?=<svg)", "", written.getvalue(), flags=re.DOTALL)


def _ensemble(use: Mapping[str, Any]) -> str:
    combine = use["combine"]
    options = [
        ", ".join(f"{name} {amount(share)}" for name, share in value.items())
        if isinstance(value, Mapping)
        else f"{key} {amount(value)}"
        for key, value in combine.items()
        if key != "name"
    ]
    dropout = [f"dropout {amount(use['dropout'])}"] if use.get("dropout") else []
    return "\n".join([combine["name"], *options, *dropout])


def _draw(shown: Sequence[tuple[str, Diagram]]) -> Figure:
    shown = shown[:_SHOWN]
    heights = [_rows(each) for _, each in shown]
    figure, grid = canvas(width=9.0, height=0.62 * sum(heights) + 0.5 * len(heights), rows=len(shown))
    grid[0, 0].get_gridspec().set_height_ratios(heights)
    for axes, (title, each), rows in zip(grid[:, 0], shown, heights, strict=True):
        axes.set_title(
            textwrap.shorten(title, 110, placeholder=" …"), loc="left", fontsize=9.5, weight="bold", color=INK
        )
        _one(axes, each, rows)
    return figure


def _rows(shown: Diagram) -> int:
    """How many lines of boxes a drawing needs: the outputs, and then the matched layers of either side."""
    ours = {link.student for link in shown.links}
    theirs = {(link.teacher, link.layer) for link in shown.links}
    return max(2, len(shown.members), 1 + max(len(ours), len(theirs)))


def _one(axes: Axes, shown: Diagram, rows: int) -> None:
    axes.set(xlim=(0, 1), ylim=(-rows + 0.4, 0.6))
    axes.axis("off")
    _box(
        axes, _STUDENT, 0, f"{textwrap.shorten(shown.student, 34, placeholder='…')}\noutput", BLUE, bold=True
    )
    if shown.labels:
        axes.text(_STUDENT, -0.42, f"labels: {shown.labels}", ha="center", va="top", fontsize=8, color=INK)
    # The outputs stand above the layers, so a teacher of several may be without a line of its own.
    at = {name: -float(place) for place, name in enumerate(shown.members)}
    for name, y in at.items():
        _box(axes, _TEACHER, y, f"{name}\noutput", VERMILLION, bold=True)
    if shown.ensemble:
        middle = sum(at.values()) / len(at)
        _box(axes, _MIDDLE, middle, shown.ensemble, INK)
        for y in at.values():
            _arrow(axes, (_TEACHER - 0.1, y), (_MIDDLE + 0.09, middle), "-", "")
        _arrow(axes, (_MIDDLE - 0.09, middle), (_STUDENT + 0.14, 0), "-", shown.outputs)
    elif at:
        _arrow(axes, (_TEACHER - 0.1, 0), (_STUDENT + 0.14, 0), "-", shown.outputs)
    _layers(axes, shown)


def _layers(axes: Axes, shown: Diagram) -> None:
    ours = {
        name: -1.0 - place for place, name in enumerate(dict.fromkeys(link.student for link in shown.links))
    }
    below = -max(1.0, float(len(shown.members)) if shown.ensemble or len(shown.members) > 1 else 1.0)
    pairs = dict.fromkeys((link.teacher, link.layer) for link in shown.links)
    theirs = {pair: below - place for place, pair in enumerate(pairs)}
    axes.set_ylim(min([axes.get_ylim()[0], *(y - 0.6 for y in theirs.values())]), 0.6)
    for name, y in ours.items():
        _box(axes, _STUDENT, y, name, BLUE)
    for (teacher, layer), y in theirs.items():
        _box(axes, _TEACHER, y, f"{teacher}\n{layer}", VERMILLION)
    for link in shown.links:
        ends = (_TEACHER - 0.1, theirs[link.teacher, link.layer]), (_STUDENT + 0.1, ours[link.student])
        _arrow(axes, *ends, DASHES[1], link.label)


def _box(axes: Axes, x: float, y: float, text: str, color: str, *, bold: bool = False) -> None:
    style = {
        "boxstyle": "round,pad=0.35",
        "facecolor": "white",
        "edgecolor": color,
        "linewidth": 2.0 if bold else 1.1,
    }
    axes.text(x, y, text, ha="center", va="center", fontsize=8.5, color=INK, bbox=style, zorder=3)


def _arrow(axes: Axes, tail: tuple[float, float], head: tuple[float, float], dash: Any, text: str) -> None:
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.1, "linestyle": dash}
    axes.annotate("", head, tail, arrowprops=arrow, zorder=1)
    x, y = ((a + b) / 2 for a, b in zip(tail, head, strict=True))
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    if text:
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color=INK, bbox=white, zorder=2)
