"""How results are written for people: labels of axes and columns, and values with their units."""

from __future__ import annotations

import math

from kdsearch.registry import parts
from kdsearch.types import Direction

_TEST = "test_"


def label(name: str) -> str:
    """The label of a metric without its unit: `Latency`, `Test accuracy`."""
    if name.startswith(_TEST):
        return f"Test {within(name.removeprefix(_TEST))}"
    return str(_facts(name).get("label") or name.replace("_", " ").capitalize())


def within(name: str) -> str:
    """The label within a sentence: `latency`, `MACs`."""
    plain = label(name)
    return plain if plain[:2].isupper() else plain[:1].lower() + plain[1:]


def title(name: str) -> str:
    """The label of a metric with its unit, for an axis or a column: `Latency (ms)`, `Accuracy (%)`."""
    unit = "%" if is_fraction(name) else str(_facts(name).get("unit", ""))
    return f"{label(name)} ({unit})" if unit else label(name)


def value(name: str, number: float, *, unit: bool = True) -> str:
    """A value of the metric `name`: `97.64 %`, `0.123 ms`, `1.23M`; a dash when it is missing."""
    if not math.isfinite(number):
        return "–"
    if is_fraction(name):
        return f"{100 * number:{'+' if name == 'gain' else ''}.2f}" + (" %" if unit else "")
    suffix = str(_facts(name).get("unit", ""))
    return short(number) + (f" {suffix}" if unit and suffix else "")


def short(number: float) -> str:
    """Three significant digits; k, M, G and T from a thousand up."""
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        # A number that three digits would round up to the next letter takes that letter.
        if abs(number) >= 0.9995 * factor:
            return f"{number / factor:#.3g}".rstrip(".") + letter
    return str(int(number)) if number == int(number) else f"{number:#.3g}".rstrip(".")


def tick(number: float) -> str:
    """A number on an axis: as short as it can be, k, M, G and T from ten thousand up."""
    return short(number) if abs(number) >= 1e4 else f"{number:.6g}"


def is_fraction(name: str) -> bool:
    """Whether the metric is a fraction, shown as a percentage."""
    return name == "gain" or _facts(name).get("unit") == "fraction"


def direction(name: str) -> Direction:
    """Which way a metric is better: as its objective declares, else less is better."""
    return "maximize" if _facts(name).get("direction") == "maximize" or name == "gain" else "minimize"


def _facts(name: str) -> dict[str, object]:
    part = parts("objective").get(name.removeprefix(_TEST))
    return dict(part.facts) if part else {}
