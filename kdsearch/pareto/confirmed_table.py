"""A confirmed front as a table: for the terminal, and as cells for the report."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kdsearch.pareto import words
from kdsearch.pareto.confirmed import Confirmed


def confirmed_cells(confirmed: Confirmed) -> tuple[list[str], list[list[str]]]:
    """The heads, and a row of texts for each recipe: figures as mean ± standard deviation between runs."""
    judged = confirmed.judged
    heads = ["Recipe", f"{words.title(judged)} searched", "confirmed", "test", "gain, 95%", "non-dominated"]
    rows, failed = [], bool(confirmed.table["failed"].any())
    for row in confirmed.table.to_dict("records"):
        baseline = f" ({row['baseline']})" if row["baseline"] else ""
        gains = [words.value("gain", row[name], unit=False) for name in ("gain", "gain_low", "gain_high")]
        rows.append(
            [
                f"{row['recipe']}{baseline}",
                words.value(judged, row["searched"], unit=False),
                _spread(judged, row.get(judged), row.get(f"{judged}_std")),
                _spread(f"test_{judged}", row.get(f"test_{judged}"), row.get(f"test_{judged}_std")),
                gains[0] if gains[0] == "–" else f"{gains[0]} ({gains[1]} to {gains[2]})",
                f"{row['front_probability']:.0%}",
                str(row["band"] or "–"),
                *([f"{row['failed']} of {row['seeds'] + row['failed']}"] if failed else []),
                str(row["verdict"]),
            ]
        )
    return [*heads, "band", *(["failed"] if failed else []), "verdict"], rows


def confirmed_table(confirmed: Confirmed) -> Table:
    """The same as a rich table."""
    heads, rows = confirmed_cells(confirmed)
    table = Table(box=SIMPLE_HEAD, header_style="bold", collapse_padding=True)
    table.add_column(heads[0], overflow="fold")
    for head in heads[1:]:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _spread(name: str, mean: float | None, deviation: float | None) -> str:
    if mean is None or deviation is None:
        return "–"
    texts = [words.value(name, number, unit=False) for number in (mean, deviation)]
    return " ± ".join(texts)
