"""Whom a student imitates, and where: its teachers, how they are combined, and the matched layers, drawn."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.pareto._canvas import canvas, save
from kdsearch.pareto._style import BLUE, DASHED, INK, VERMILLION
from kdsearch.pareto.recipes import amount, losses, matches, members, teachers
from kdsearch.registry import find
from kdsearch.space import describe_model
from kdsearch.space.losses import acts_on_members

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

_SHOWN = 8
_STUDENT, _MIDDLE, _TEACHER = 0.16, 0.6, 0.9


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
    use = config["distill"]["teachers"]
    links: dict[tuple[str, str, str], list[str]] = {}
    texts: dict[str, list[str]] = {"labels": [], "outputs": []}
    for label, loss in losses(config):
        text = f"{amount(loss['weight'])} {label}"
        for match in matches(loss):
            pairs = match["pairs"] if isinstance(match["pairs"], list) else [("all layers", "all layers")]
            for ours, theirs in pairs:
                links.setdefault((amount(ours), match["teacher"], amount(theirs)), []).append(text)
        if not matches(loss):
            taught = acts_on_members(find("loss", loss["name"]))
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
    # The arrows end at boxes that have their places only once they were drawn.
    figure.draw_without_rendering()
    return figure


def _rows(shown: Diagram) -> float:
    """How many lines of boxes a drawing needs: the outputs, and then the matched layers of either side."""
    ours = {link.student for link in shown.links}
    theirs = {(link.teacher, link.layer) for link in shown.links}
    above = max(1, len(shown.members))
    return max(1 + len(ours), above + len(theirs), 1.4)


def _one(axes: Axes, shown: Diagram, rows: float) -> None:
    axes.set(xlim=(0, 1), ylim=(0.4 - rows, 0.6))
    axes.axis("off")
    name = textwrap.shorten(shown.student, 40, placeholder="…")
    output = _box(axes, _STUDENT, 0, f"{name}\noutput", BLUE, bold=True)
    if shown.labels:
        axes.text(_STUDENT, -0.42, f"labels: {shown.labels}", ha="center", va="top", fontsize=8, color=INK)
    boxes = [
        _box(axes, _TEACHER, -float(place), f"{name}\noutput", VERMILLION, bold=True)
        for place, name in enumerate(shown.members)
    ]
    if shown.ensemble:
        middle = _box(axes, _MIDDLE, -(len(boxes) - 1) / 2, shown.ensemble, INK)
        for box in boxes:
            _arrow(axes, box, middle, "-", "")
        boxes = [middle]
    for box in boxes:
        _arrow(axes, box, output, "-", shown.outputs)
    _layers(axes, shown)


def _layers(axes: Axes, shown: Diagram) -> None:
    layers = dict.fromkeys(link.student for link in shown.links)
    ours = {name: _box(axes, _STUDENT, -1.0 - place, name, BLUE) for place, name in enumerate(layers)}
    pairs = dict.fromkeys((link.teacher, link.layer) for link in shown.links)
    above = max(1, len(shown.members))
    theirs = {
        pair: _box(axes, _TEACHER, -float(above + place), "\n".join(pair), VERMILLION)
        for place, pair in enumerate(pairs)
    }
    for link in shown.links:
        _arrow(axes, theirs[link.teacher, link.layer], ours[link.student], DASHED, link.label)


def _box(axes: Axes, x: float, y: float, text: str, color: str, *, bold: bool = False) -> Text:
    style: dict[str, Any] = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": color}
    style["linewidth"] = 2.0 if bold else 1.1
    return axes.text(x, y, text, ha="center", va="center", fontsize=8.5, color=INK, bbox=style, zorder=3)


def _arrow(axes: Axes, tail: Text, head: Text, dash: Any, text: str) -> None:
    """From the edge of one box to the edge of another."""
    to, start = head.get_position(), tail.get_position()
    style: dict[str, Any] = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.1, "linestyle": dash}
    style |= {"patchA": tail.get_bbox_patch(), "patchB": head.get_bbox_patch(), "shrinkA": 0, "shrinkB": 2}
    axes.annotate("", to, start, arrowprops=style, zorder=1)
    x, y = (to[0] + start[0]) / 2, (to[1] + start[1]) / 2
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    if text:
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color=INK, bbox=white, zorder=2)
