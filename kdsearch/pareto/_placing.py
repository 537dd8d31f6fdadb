"""Placing labels in a Matplotlib picture where they cover neither marks nor each other."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

_LEADER = {"arrowstyle": "-", "color": "#666666", "linewidth": 0.8, "shrinkA": 1, "shrinkB": 5}
# Where the label's own edge stands from its mark, in points, the best place first.
_PLACES: tuple[tuple[float, float, Mapping[str, Any]], ...] = tuple(
    (dx * far, dy * far, {"ha": ha, "va": va} | ({"arrowprops": _LEADER} if far > 2 else {}))
    for far in (1.0, 2.2, 3.6, 6.0, 9.0, 13.0)
    for dx, dy, ha, va in (
        (9, 0, "left", "center"),
        (-9, 0, "right", "center"),
        (0, 9, "center", "bottom"),
        (0, -9, "center", "top"),
        (7, 7, "left", "bottom"),
        (7, -7, "left", "top"),
        (-7, 7, "right", "bottom"),
        (-7, -7, "right", "top"),
    )
)
# Half the side of the box kept free around a mark, in pixels.
_MARK = 10.0


class Placer:
    """Greedy placement in the data coordinates of `axes`, whose limits must be final."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._taken: list[Bbox] = []

    def avoid(self, points: np.ndarray) -> None:
        """Keep labels off marks at points (n, 2)."""
        from matplotlib.transforms import Bbox

        for px, py in self._axes.transData.transform(points):
            self._taken.append(Bbox.from_bounds(px - _MARK, py - _MARK, 2 * _MARK, 2 * _MARK))

    def avoid_line(self, corners: np.ndarray) -> None:
        """Keep labels off the line through corners (n, 2)."""
        from matplotlib.transforms import Bbox

        pixels = self._axes.transData.transform(corners) if len(corners) else corners
        for (ax, ay), (bx, by) in pairwise(pixels):
            self._taken.append(
                Bbox.from_extents(min(ax, bx), min(ay, by) - 2, max(ax, bx) + 2, max(ay, by) + 2)
            )

    def avoid_level(self, y: float) -> None:
        """Keep labels off the horizontal line at `y`."""
        from matplotlib.transforms import Bbox

        frame = self._axes.bbox
        _, py = self._axes.transData.transform((self._axes.get_xlim()[0], y))
        self._taken.append(Bbox.from_extents(frame.x0, py - 3, frame.x1, py + 3))

    def level(self, text: str, y: float, color: str) -> None:
        """Write `text` over or under the horizontal line at `y`, at whichever end has room."""
        ends = ((1.0, -2, "right"), (0.0, 4, "left"))
        choices = [
            (dx, dy, {"ha": ha, "va": va, "xycoords": ("axes fraction", "data")}, end)
            for dy, va in ((3, "bottom"), (-3, "top"))
            for end, dx, ha in ends
        ]
        self._place(text, color, [((end, y), (dx, dy), style) for dx, dy, style, end in choices])

    def name(self, point: np.ndarray, text: str, color: str) -> None:
        """Write `text` to the right or the left of the mark at `point`, where no other mark can claim it."""
        choices = [
            (point, (dx, dy), style) for dx, dy, style in _PLACES if not dy and "arrowprops" not in style
        ]
        self._place(text, color, choices, weight="bold")

    def beside(self, point: np.ndarray, text: str, color: str) -> None:
        """Write `text` near the mark at `point`, with a leader to it where there is no room beside it."""
        self._place(text, color, [(point, (dx, dy), style) for dx, dy, style in _PLACES], weight="bold")

    def _place(
        self, text: str, color: str, choices: list[tuple[Any, Any, Mapping[str, Any]]], **font: Any
    ) -> None:
        """Take the first of `choices` (point, offset, style) that covers the least."""
        best, least = choices[0], np.inf
        for choice in choices:
            written = self._write(text, color, choice, **font)
            covered = self._covered(_extent(written))
            written.remove()
            if covered < least:
                best, least = choice, covered
        self._taken.append(_extent(self._write(text, color, best, **font)))

    def _write(self, text: str, color: str, choice: tuple[Any, Any, Mapping[str, Any]], **font: Any) -> Any:
        from matplotlib.patheffects import withStroke

        point, offset, style = choice
        halo = [withStroke(linewidth=2.5, foreground="white")]
        return self._axes.annotate(
            text,
            point,
            offset,
            textcoords="offset points",
            color=color,
            fontsize=9.5,
            zorder=5,
            path_effects=halo,
            **font,
            **style,
        )

    def _covered(self, box: Bbox) -> float:
        """The area in pixels that `box` would cover of what is there, and of the world outside the axes."""
        from matplotlib.transforms import Bbox

        shared = [Bbox.intersection(box, other) for other in (*self._taken, self._axes.bbox)]
        *covered, inside = [s.width * s.height if s else 0.0 for s in shared]
        return float(sum(covered) + 10 * (box.width * box.height - inside))


def _extent(written: Any) -> Bbox:
    """The box of the text alone: the annotation's own takes in its leader."""
    from matplotlib.text import Text

    written.update_positions(written.figure.canvas.get_renderer())
    return Text.get_window_extent(written)
