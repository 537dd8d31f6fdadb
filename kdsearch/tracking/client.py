"""MLflow's client as we use it: short timeouts, nothing printed, and which of its errors are temporary."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kdsearch.tracking.store import database, resolve_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 1000

_ENVIRONMENT = {
    # MLflow's own values, 7 and 120, keep one call to a dead server for more than four minutes. The writer
    # tries again by itself, having looked first whether the run it asked for was created after all.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # It would print through the live table of the search.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # A cluster without internet access should not spend a thread on trying to send it.
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_CHATTY = {
    "mlflow.store.db.utils": logging.CRITICAL,  # a traceback for every locked database
    "mlflow.tracking": logging.ERROR,
    "alembic": logging.WARNING,
    "urllib3.connectionpool": logging.ERROR,
}

_AUTHENTICATION = {401, 403}
_WAIT = {408, 429}
_LASTING = (FileNotFoundError, IsADirectoryError, NotADirectoryError, TypeError, AttributeError, ImportError)


def connect(uri: str) -> MlflowClient:
    """A client of the store at `uri`. A SQLite store that is not there yet is created (about 3 s)."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name, level in _CHATTY.items():
        logging.getLogger(name).setLevel(level)
    if (path := database(uri)) is not None and not path.exists():
        _create(path)
    return MlflowClient(tracking_uri=resolve_uri(uri))


def _create(path: Path) -> None:
    """Make an empty SQLite store that takes its place when it is whole.

    MLflow builds its tables in steps, for seconds: a process that is killed at it would leave a file that no
    later one can open.
    """
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        part = Path(folder) / path.name
        MlflowClient(tracking_uri=f"sqlite:///{part}").search_experiments(max_results=1)
        with suppress(FileExistsError):
            os.link(part, path)


def runs(client: MlflowClient, experiments: Sequence[str], condition: str) -> Iterator[Run]:
    """Every run that meets `condition`, oldest first."""
    token: str | None = None
    while True:
        page = client.search_runs(
            list(experiments),
            condition,
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def is_temporary(error: Exception) -> bool:
    """Whether the same call may succeed later, so that what it carried is worth keeping.

    An expired token or a wrong password counts as temporary: it can be put right while the search runs.
    Unknown errors do too, the clients of artifact stores having their own.
    """
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        # An unknown endpoint is what a proxy answers while the server behind it is away.
        away = error.error_code == "ENDPOINT_NOT_FOUND"
        return away or status >= 500 or status in _AUTHENTICATION | _WAIT
    return not isinstance(error, _LASTING)
