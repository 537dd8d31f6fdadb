"""The table of results, and the machine that they were taken on."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COMMAND = "make bench"


@dataclass(frozen=True)
class Row:
    """One figure of kdsearch's beside that of the other way, in seconds both, with how they came about."""

    what: str
    kdsearch: float
    other: float
    asked: str = ""
    remarks: str = ""
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """kdsearch's share of the other's."""
        return self.kdsearch / self.other


def note(text: str) -> None:
    """A line of progress."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def markdown(rows: Sequence[Row]) -> str:
    """The table, and a remark for each of its rows."""
    lines = ["| what | kdsearch | the other | ratio | asked |", "|---|--:|--:|--:|---|"]
    for row in rows:
        cells = [row.what, seconds(row.kdsearch), seconds(row.other), _ratio(row.ratio), row.asked]
        lines.append(f"| {' | '.join(cells)} |")
    remarks = [f"- *{row.what}*: {row.remarks}" for row in rows if row.remarks]
    return "\n".join([*lines, "", *remarks])


def seconds(value: float) -> str:
    """A duration with three digits."""
    return f"{value:.3g} s" if abs(value) >= 1 else f"{1000 * value:.3g} ms"


def write(rows: Sequence[Row], load: float) -> str:
    """Write RESULTS.md and results.json, and return the former.

    Args:
        rows: Of all benchmarks, taken in one go.
        load: The machine's load average before them: what else it was doing.
    """
    where = machine() | {"load average before": f"{load:.2f}"}
    text = f"# Results\n\nWritten by `{COMMAND}`.\n\n{markdown(rows)}\n\n{listed(where)}"
    (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
    table = [asdict(row) | {"ratio": row.ratio} for row in rows]
    content = {"command": COMMAND, "machine": where, "rows": table}
    (HERE / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return text


def page(title: str, about: str, lines: Sequence[str], command: str, load: str) -> str:
    """The page of one measurement: what it is of, its table, and what it was taken on."""
    where = machine() | {"load average, this included": load}
    head = f"# {title}\n\nWritten by `{command}`."
    return "\n\n".join([head, about, "\n".join(lines), listed(where)])


def save(name: str, text: str, content: Mapping[str, Any]) -> None:
    """Write the page of a measurement and what it shows, as NAME.md and name.json, and print the page."""
    (HERE / f"{name.upper()}.md").write_text(text, encoding="utf-8")
    (HERE / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(text)


def rounds_of(command: str, about: str | None, usual: int) -> int:
    """How often each side is to be run, by the command line of a measurement that has no other option."""
    parser = argparse.ArgumentParser(prog=command, description=about)
    parser.add_argument("--rounds", type=int, default=usual)
    rounds: int = parser.parse_args().rounds
    return rounds


def listed(where: Mapping[str, str]) -> str:
    """The section on what a measurement was taken on."""
    return "\n".join(["## Where", "", *(f"- {key}: {value}" for key, value in where.items())]) + "\n"


def _ratio(value: float) -> str:
    return f"{value:.3f}" if value > 0.1 else f"1/{1 / value:.0f}" if value > 0 else "0"


def machine() -> dict[str, str]:
    """What a measurement was taken on and with."""
    from kdsearch.tracking import provenance

    tags = provenance()
    prefix = "kdsearch.version."
    versions = [f"{key.removeprefix(prefix)} {tags[key]}" for key in tags if key.startswith(prefix)]
    changed = " with changes" if tags.get("kdsearch.git.dirty") == "true" else ""
    return {
        "CPU": tags["kdsearch.host.cpu"],
        "cores": tags["kdsearch.host.cores"],
        "memory": f"{tags.get('kdsearch.host.memory_gb', '?')} GB",
        "system": tags["kdsearch.host.os"],
        "versions": ", ".join(versions),
        "git commit": tags.get("kdsearch.git.commit", "unknown") + changed,
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "process": f"Python {sys.version.split()[0]}, nice {os.nice(0)}",
    }
