"""A search in MLflow, rebuilt from its files."""

from __future__ import annotations

from pathlib import Path

from kdsearch.errors import InputError, KdsearchError
from kdsearch.spec import constraints_of, load_spec, metrics_of
from kdsearch.tracking import Writer, public_uri, resolve_uri, saved_views
from kdsearch.tune.folder import SPEC, TEACHERS, find_folder, read_about, runner
from kdsearch.tune.ledger import Ledger

#: Files of the search as a whole, as far as it came.
_FILES = (TEACHERS, "front.html", "front.png", "front.csv", "trials.csv")


def sync(name: str, storage: Path, uri: str | None, timeout: float) -> int:
    """Tell MLflow all that the files of a search say, and return how many trials that are.

    What it knows already is not told twice: runs are found by uid, and figures by their times.

    Args:
        name: Of the search.
        storage: Where its folder is.
        uri: Of MLflow; by default that of the search.
        timeout: Seconds to wait for a server that is away.

    Raises:
        InputError: When there is no such search, or it runs and tells MLflow itself.
        KdsearchError: When MLflow did not take everything.
    """
    folder = find_folder(storage, name)
    if (process := runner(folder)) is not None:
        raise InputError(f"search '{name}' runs in process {process}, which tells MLflow itself")
    spec, about = load_spec(folder / SPEC), read_about(folder)
    address = resolve_uri(uri or spec.tracking.uri)
    writer = Writer(address, str(about.get("experiment", spec.name)), name, resume=True)
    writer.start(about.get("tags", {}), {SPEC: (folder / SPEC).read_text(encoding="utf-8")})
    writer.experiment(saved_views(name, metrics_of(spec)))
    ledger = Ledger(metrics_of(spec), constraints_of(spec), folder, writer)
    ledger.restore()
    ledger.replay()
    for file in _FILES:
        if (folder / file).exists():
            writer.artifact(None, folder / file)
    state = about.get("state")
    # One that was killed had no time to say so.
    writer.end(state if state in ("complete", "failed", "stopped") else "stopped")
    if not writer.close(timeout):
        raise KdsearchError(f"MLflow at {public_uri(address)} did not take everything; sync again later")
    return len(ledger.records)
