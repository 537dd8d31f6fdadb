"""`python -m benchmarks [NAME ...]`: all of them, with their table written down, or some, only shown."""

from __future__ import annotations

import argparse
import os
import sys

from benchmarks import bank, overhead, startup, step
from benchmarks.report import Row, markdown, note, write

BENCHMARKS = {
    "overhead": overhead.measure,
    "startup": startup.measure,
    "step": step.measure,
    "bank": bank.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}")
    names = parser.parse_args().names
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    load = os.getloadavg()[0]
    rows: list[Row] = []
    for name in names or BENCHMARKS:
        note(f"{name}: {sys.modules[BENCHMARKS[name].__module__].__doc__}")
        rows += BENCHMARKS[name]()
    if names:
        print(markdown(rows))
    else:
        print(write(rows, load))


if __name__ == "__main__":
    main()
