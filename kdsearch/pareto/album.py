"""All that is known of a search, and every picture of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kdsearch.constraints import Constraint
from kdsearch.files import write_whole
from kdsearch.pareto import curves, importance, progress
from kdsearch.pareto.confirmed import Confirmed
from kdsearch.pareto.confirmed_plot import confirmed_figure, confirmed_png
from kdsearch.pareto.diagram import Diagram, diagram, diagrams_png, diagrams_svg
from kdsearch.pareto.marks import members
from kdsearch.pareto.page import page, write_html
from kdsearch.pareto.parallel import parallel, parallel_figure, parallel_png
from kdsearch.pareto.plots import front_figure
from kdsearch.pareto.png import front_png
from kdsearch.pareto.table import sort_front
from kdsearch.types import Direction

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Album:
    """A search as its pictures and its report need it.

    Args:
        name: Of the search.
        state: `running`, `complete`, `stopped` or `failed`.
        objectives: The direction of each.
        reference: The point up to which hypervolumes count, fixed before the first trial.
        trials: A row each, in the order in which they began: `uid`, `recipe`, `state`, `baseline`, `front`,
            `gain`, `reason`, the metrics, `config`, and, where it is known, `curve` (a mapping an epoch).
        teachers: The accuracy of each, in [0, 1].
        importances: The share of each dimension in each objective.
        constraints: Which a member of the front must hold.
        confirmed: What fresh runs said, once there are any.
    """

    name: str
    state: str
    objectives: Mapping[str, Direction]
    reference: Mapping[str, float]
    trials: pd.DataFrame
    teachers: Mapping[str, float] = field(default_factory=dict)
    importances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    constraints: Sequence[Constraint] = ()
    confirmed: Confirmed | None = None

    @cached_property
    def front(self) -> pd.DataFrame:
        """The members of the front, best first."""
        return sort_front(self.trials[members(self.trials, self.objectives)], self.objectives)

    @cached_property
    def complete(self) -> pd.DataFrame:
        """The trials that ended as they should."""
        return self.trials[self.trials["state"] == "complete"]

    @cached_property
    def hypervolumes(self) -> list[float]:
        """After each complete trial."""
        columns = list(self.objectives)
        counted = self.complete.astype(dict.fromkeys(columns, float))
        for constraint in self.constraints:
            counted.loc[[not constraint.holds(value) for value in counted[constraint.name]], columns] = (
                math.nan
            )
        return progress.hypervolumes(counted, self.objectives, self.reference)

    @property
    def diagrams(self) -> list[tuple[str, Diagram]]:
        """Those of the taught members of the front, by recipe."""
        rows = self.front.to_dict("records")
        drawn = [(str(row["recipe"]), diagram(row["config"])) for row in rows if row.get("config")]
        return [(recipe, each) for recipe, each in drawn if each.teachers]


@dataclass(frozen=True)
class Picture:
    """One picture: its file name without ending, its caption, and how it is drawn, either way."""

    name: str
    caption: str
    png: Callable[[Path], None]
    figure: Callable[[], Figure] | None = None
    svg: Callable[[], str] | None = None


def pictures(album: Album) -> Iterator[Picture]:
    """Every picture that there is something to draw for."""
    trials, objectives = album.trials, album.objectives
    if not len(album.complete):
        return
    y, x = axes(objectives)
    if x is not None:
        levels = album.teachers if y == "accuracy" else None
        yield Picture(
            "front",
            "Every trial; the line joins the front, dashed levels are the teachers.",
            lambda path: front_png(trials, objectives, x, y, path, teachers=levels),
            lambda: front_figure(trials, objectives, x=x, y=y, teachers=levels),
        )
    if confirmed := album.confirmed:
        yield Picture(
            "confirmed",
            "Means over fresh seeds with 95% intervals; hollow: as searched. A band can't be told apart.",
            lambda path: confirmed_png(confirmed, path),
            lambda: confirmed_figure(confirmed),
        )
    volumes = album.hypervolumes
    yield Picture(
        "hypervolume",
        f"What the front dominates, up to {progress.stated(album.reference)}; fixed before the first trial.",
        lambda path: progress.hypervolume_png(volumes, path),
        lambda: progress.hypervolume_figure(volumes),
    )
    if shares := album.importances:
        yield Picture(
            "importances",
            "The share of each dimension of the space in each objective (PED-ANOVA).",
            lambda path: importance.importance_png(shares, path),
            lambda: importance.importance_figure(shares),
        )
    yield from _of_the_front(album)


def _of_the_front(album: Album) -> Iterator[Picture]:
    decisive = dict(
        sorted((item for own in album.importances.values() for item in own.items()), key=lambda i: -i[1])
    )
    if shown := parallel(album.trials, album.objectives, list(decisive)):
        yield Picture(
            "parallel",
            "Settings and objectives of every trial. Draw along an axis to select.",
            lambda path: parallel_png(shown, path),
            lambda: parallel_figure(shown),
        )
    if drawn := album.diagrams:
        yield Picture(
            "diagrams",
            "Whom the students of the front learn from: outputs above, matched layers below.",
            lambda path: diagrams_png(drawn, path),
            svg=lambda: diagrams_svg(drawn),
        )
    if learned := curves.curves(album.front):
        yield Picture(
            "curves",
            "Accuracy of the front's students on the validation split, epoch by epoch.",
            lambda path: curves.curves_png(learned, path),
            lambda: curves.curves_figure(learned),
        )


def write_pictures(album: Album, folder: Path) -> list[Path]:
    """Write each picture to `folder`, as a page and as PNG; returns the files, the front's first."""
    files = []
    for each in pictures(album):
        html, png = folder / f"{each.name}.html", folder / f"{each.name}.png"
        if each.figure is not None:
            write_html(each.figure(), html)
        elif each.svg is not None:
            write_whole(html, page(each.name, each.svg(), interactive=False))
        each.png(png)
        files += [html, png]
    return files


def axes(objectives: Mapping[str, Direction]) -> tuple[str, str | None]:
    """What is worth drawing: something to maximise upwards, over something to minimise."""
    up = next((name for name, way in objectives.items() if way == "maximize"), next(iter(objectives)))
    return up, next((name for name in objectives if name != up), None)
