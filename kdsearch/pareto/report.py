"""One page with all of a search: the story in words, the front as a table, and every picture."""

from __future__ import annotations

import html

import pandas as pd

from kdsearch.pareto import words
from kdsearch.pareto.album import Album, pictures
from kdsearch.pareto.confirmed_table import confirmed_cells
from kdsearch.pareto.marks import baseline_names
from kdsearch.pareto.page import page, picture
from kdsearch.pareto.story import story
from kdsearch.pareto.table import METRICS

_TITLES = {
    "front": "The front",
    "confirmed": "With fresh seeds",
    "hypervolume": "How it grew",
    "importances": "What mattered",
    "parallel": "All trials at a glance",
    "diagrams": "Teachers, ensembles and matched layers",
    "curves": "Learning curves of the front",
}


def report(album: Album) -> str:
    """The page as HTML, of about 2 MB: Plotly is inside once."""
    running = " (still running)" if album.state == "running" else ""
    parts = [f"<h1>{html.escape(album.name)}{running}</h1>"]
    parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in story(album)]
    for each in pictures(album):
        parts.append(f"<h2>{_TITLES[each.name]}</h2>")
        drawn = each.svg() if each.svg else picture(each.figure(), each.name) if each.figure else ""
        caption = f"<figcaption>{html.escape(each.caption)}</figcaption>"
        parts.append(f"<figure>{drawn}\n{caption}</figure>")
        if each.name == "front":
            parts.append(_front(album))
        if each.name == "confirmed" and album.confirmed:
            parts.append(_table(*confirmed_cells(album.confirmed)))
    if album.teachers:
        parts.append("<h2>Teachers</h2>")
        rows = [[name, words.value("accuracy", score)] for name, score in album.teachers.items()]
        parts.append(_table(["Teacher", "Accuracy on the validation split"], rows))
    return page(f"{album.name}: report", "\n".join(parts))


def _front(album: Album) -> str:
    names = [name for name in dict.fromkeys([*METRICS, *album.objectives]) if name in album.front.columns]
    rows = []
    for row, baseline in zip(album.front.to_dict("records"), baseline_names(album.front), strict=True):
        recipe = str(row["recipe"]) + (f" ({baseline})" if baseline else "")
        values = pd.to_numeric(pd.Series(row).reindex(names), errors="coerce").astype(float)
        rows.append([recipe, *(words.value(name, values[name], unit=False) for name in names)])
    return _table(["Recipe", *map(words.title, names)], rows)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return (
        f'<div class="wide"><table><thead>{line(heads, "th")}</thead><tbody>\n{body}\n</tbody></table></div>'
    )
