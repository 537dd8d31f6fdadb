"""A search in MLflow, rebuilt from its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from kdsearch.distill.profile import TABLE
from kdsearch.errors import KdsearchError
from kdsearch.filenames import SPEC, TEACHERS
from kdsearch.spec import constraints_of, load_spec, metrics_of
from kdsearch.tracking import Writer, names, public_uri, resolve_uri, saved_views
from kdsearch.tracking.table import FILE, log_table
from kdsearch.tune.folder import old_folder, read_about
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.reference import read_reference
from kdsearch.tune.verdicts import tell_verdicts


def sync(name: str, storage: Path, uri: str | None, timeout: float) -> int:
    """Log everything in the files of a search to MLflow, and return the number of its trials.

    Nothing is logged twice: runs are found by uid, and figures by their times.

    Args:
        name: Of the search.
        storage: Where its folder is.
        uri: Of MLflow; by default that of the search.
        timeout: Seconds to wait for a server that does not answer.

    Raises:
        InputError: When there is no such search, or another process holds it.
        KdsearchError: When MLflow did not take everything.
    """
    with old_folder(storage, name, "sync") as folder:
        spec, about = load_spec(folder / SPEC), read_about(folder)
        address = resolve_uri(uri or spec.tracking.uri)
        writer = Writer(address, str(about.get("experiment", spec.name)), name, uid=about.get("uid"))
        writer.start(about.get("tags", {}), {SPEC: (folder / SPEC).read_text(encoding="utf-8")})
        writer.set_experiment_tags(saved_views(name, metrics_of(spec)))
        ledger = Ledger(metrics_of(spec), constraints_of(spec), folder, writer)
        ledger.restore(rerun=False)
        ledger.replay()
        _tell_whole(folder, writer)
        state = about.get("state")
        # One that was killed had no time to say so.
        writer.end(state if state in ("complete", "failed", "stopped") else "stopped")
        if not writer.close(timeout):
            raise KdsearchError(f"MLflow at {public_uri(address)} did not take everything; sync again later")
        return len(ledger.records)


def _tell_whole(folder: Path, writer: Writer) -> None:
    """Log what there is of the search as a whole."""
    if (point := read_reference(folder)) is not None:
        writer.set_tags(None, {names.REFERENCE: json.dumps(point)})
    for path in _artifacts(folder):
        writer.log_artifact(None, path)
    if (profile := folder / TABLE).exists():
        writer.log_artifact(None, profile, "profile")
    if (front := folder / FILE).exists():
        log_table(writer, front)
    tell_verdicts(folder, writer)


def _artifacts(folder: Path) -> Iterator[Path]:
    """The report, the pictures and the tables, but for those that have a place of their own."""
    for pattern in (TEACHERS, "*.html", "*.png", "*.csv"):
        yield from (path for path in sorted(folder.glob(pattern)) if path.name != TABLE)
