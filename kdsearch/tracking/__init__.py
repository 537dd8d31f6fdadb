"""MLflow: what a search writes there, in the background, and how it is read back.

Importing this package does not import MLflow, which takes seconds.
"""

from __future__ import annotations

from kdsearch.tracking.amend import add_to_run
from kdsearch.tracking.provenance import provenance
from kdsearch.tracking.reader import SearchRecord, download, opened, read_search, search_names
from kdsearch.tracking.store import check_uri, public_uri, resolve_uri
from kdsearch.tracking.views import saved_views
from kdsearch.tracking.work import now
from kdsearch.tracking.writer import Writer

__all__ = [
    "SearchRecord",
    "Writer",
    "add_to_run",
    "check_uri",
    "download",
    "now",
    "opened",
    "provenance",
    "public_uri",
    "read_search",
    "resolve_uri",
    "saved_views",
    "search_names",
]
