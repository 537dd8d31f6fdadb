"""Where MLflow keeps what it is told: addresses checked, made absolute, and shown without secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kdsearch.errors import InputError, nearest
from kdsearch.spec.secrets import scrub

_SQLITE = "sqlite:///"
_DATABASES = ("mssql", "mysql", "postgresql")
_SCHEMES = ("sqlite", *_DATABASES, "http", "https", "databricks")


def resolve_uri(uri: str) -> str:
    """`uri` with a relative SQLite path made absolute, so that it means the same from any folder."""
    if (path := database(uri)) is None:
        return uri
    query = uri.partition("?")[2]
    return f"{_SQLITE}{path}" + (f"?{query}" if query else "")


def database(uri: str) -> Path | None:
    """The absolute path of the SQLite file of `uri`; None for every other store."""
    if not uri.startswith(_SQLITE):
        return None
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]).absolute()


def check_uri(uri: str, *, here: bool = True) -> None:
    """Raise InputError for an address where MLflow could never write. Asks no server.

    Args:
        uri: The address.
        here: Whether this machine is to write there; of a file on another only the form is checked.
    """
    scheme = uri.partition(":")[0].partition("+")[0]
    if uri == "databricks":
        return
    if "://" not in uri or scheme == "file":
        raise InputError(
            f"tracking uri '{public_uri(uri)}': MLflow no longer keeps runs in a plain folder; "
            "use sqlite:///mlflow.db, or the address of a server"
        )
    if scheme not in _SCHEMES:
        raise InputError(
            f"tracking uri '{public_uri(uri)}': unknown kind '{scheme}'{nearest(scheme, _SCHEMES)}"
        )
    if scheme == "sqlite":
        _check_database(uri, here)


def _check_database(uri: str, here: bool) -> None:
    path = database(uri)
    if path is None or path.name in ("", ":memory:"):
        raise InputError(f"tracking uri '{uri}': expected a file, as in sqlite:///mlflow.db")
    if not here:
        return
    if path.is_dir():
        raise InputError(f"tracking uri '{uri}': {path} is a folder; expected a file in it")
    if not path.parent.is_dir():
        raise InputError(f"tracking uri '{uri}': there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"tracking uri '{uri}': {path} cannot be written")


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where the artifacts of `experiment` go: beside a SQLite file; elsewhere the server knows (None).

    MLflow's own default for SQLite is a folder of whatever directory the process happens to run in.
    """
    if (path := database(uri)) is None:
        return None
    folder = re.sub(r"[^\w.-]+", "_", experiment).strip(".") or "experiment"
    return str(path.parent / "mlartifacts" / folder)


def public_uri(uri: str) -> str:
    """`uri` without user, password and query: what may be shown, logged and stored."""
    return (uri if database(uri) else scrub(uri)).partition("?")[0]
