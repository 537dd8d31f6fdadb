"""Searches and confirmations as jobs of a Ray cluster: submitted with the working tree, then followed."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.errors import InputError, KdsearchError, first_line
from kdsearch.filenames import STORAGE
from kdsearch.spec import Spec
from kdsearch.spec.secrets import scrub, storable
from kdsearch.storage import is_bucket
from kdsearch.tracking import check_uri, public_uri, resolve_uri
from kdsearch.tune.cluster import check_address, is_job

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

#: The metadata key of a job that names its search.
SEARCH = "kdsearch.search"
#: Parts of the working tree that are not sent, besides what .gitignore names.
_LEFT_HERE = (".git/", ".venv/", "__pycache__/", "mlruns/", "mlartifacts/", "*.db", "*.db-*", ".env")
#: Seconds to wait for a cluster that accepts no jobs yet, and attempts, a second apart, to reach one that
#: does not answer while its job is followed.
_PATIENCE = 30
#: Never sent: Ray shows the environment of a job in its logs and its dashboard.
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@dataclass(frozen=True)
class ClusterJob:
    """A job of a Ray cluster: its submission id, and the client to ask about it."""

    id: str
    client: JobSubmissionClient


def submit_search(
    spec: Spec,
    file: Path,
    options: Sequence[str],
    *,
    address: str,
    pip: Path | None,
    note: Callable[[str], None],
) -> ClusterJob:
    """Send a search to a cluster.

    Args:
        spec: What to search, as it was read here, overrides included.
        file: Its file, in or below the working directory.
        options: The rest of the command line, for the driver on the cluster.
        address: `auto`, `ray://HOST:PORT`, or the dashboard's `http://HOST:8265`.
        pip: A file of requirements that Ray installs for the job on every node; None for what they have.
        note: Called with a line for each setting that is not sent although the job may need it.

    Raises:
        InputError: When no cluster answers, or when the job could not reach something it needs.
    """
    check_address(address)
    here = Path.cwd().resolve()
    if not file.resolve().is_relative_to(here):
        raise InputError(f"{file} lies outside of {here}, which is all that is sent to the cluster")
    relative = str(file.resolve().relative_to(here))
    places = [*_storage(spec.compute.storage, address), *_tracking(spec.tracking.uri, address)]
    public = [text.replace("://anonymous@", "://") for text in options]
    if secret := next((text for text in public if scrub(text) != text), None):
        raise InputError(f"{scrub(secret)}: it holds a password, and everyone who sees the job would see it")
    command = ["search", relative, *options, *places]
    return _submit(spec.name, spec.name, command, _stored_here(spec.compute.storage), address, pip, note)


def submit_confirm(
    name: str,
    options: Sequence[str],
    *,
    uri: str,
    storage: str | None,
    address: str,
    pip: Path | None,
    note: Callable[[str], None],
) -> ClusterJob:
    """Send the confirmation of a search to a cluster.

    Args:
        name: Of the search.
        options: Of `kdsearch confirm`, for the driver on the cluster.
        uri: The address of the MLflow that has the search, as the cluster sees it.
        storage: The `compute.storage` of the search, if it is known here.
        address: As for `submit_search`.
        pip: As for `submit_search`.
        note: As for `submit_search`.

    Raises:
        InputError: As `submit_search`.
    """
    check_address(address)
    tracking = _tracking(uri, address)
    if storage is not None and not is_bucket(storage) and not Path(storage).is_absolute():
        raise InputError(
            f"search '{name}' lies in {storage}, which a job on {address} would not find: "
            "confirm it without --address"
        )
    command = ["confirm", name, *options, *tracking]
    without = _stored_here(storage or STORAGE)
    return _submit(name, f"{name}-confirm", command, without, address, pip, note)


def _submit(
    search: str,
    kind: str,
    command: Sequence[str],
    without: Sequence[str],
    address: str,
    pip: Path | None,
    note: Callable[[str], None],
) -> ClusterJob:
    """Submit a `kdsearch` command to a cluster, together with the working folder."""
    for name in _SECRETS:
        if os.environ.get(name):
            note(f"{name} is not sent; the head node needs its own, see docs/security.md")
    # The cluster that `auto` finds is set up like this node; on others, and where Ray makes an environment
    # for the job, use the Python on the path.
    python = sys.executable if address == "auto" and pip is None else "python"
    client = _client(address)
    request: dict[str, Any] = {
        # The shell of the job, on a node of the cluster, knows the cluster's address.
        "entrypoint": f'{shlex.join([python, "-m", "kdsearch", *command])} --address "$RAY_ADDRESS"',
        "submission_id": f"{kind}-{uuid.uuid4().hex[:8]}",
        "metadata": {SEARCH: search},
        "runtime_env": {
            "working_dir": str(Path.cwd()),
            "py_modules": [str(Path(__file__).parents[1])],
            "excludes": [*_LEFT_HERE, *without],
            **_installed(pip),
        },
    }
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return ClusterJob(client.submit_job(**request), client)
        except (RuntimeError, ValueError, OSError) as error:
            # A head that has just started answers before its job agent is up.
            if "try again later" not in str(error) or time.monotonic() > until:
                raise InputError(
                    f"--address {address}: the cluster takes no job: {first_line(error)}"
                ) from None
        time.sleep(1)


def find_job(address: str, search: str) -> ClusterJob:
    """The newest job, running or ended, of the search of that name or of its confirmation.

    Raises InputError when there is none.
    """
    if not is_job(address):
        raise InputError(
            f"--address {address}: jobs are asked about at auto, ray://HOST:PORT or http://HOST:8265"
        )
    check_address(address)
    client = _client(address)
    found = [job for job in client.list_jobs() if (job.metadata or {}).get(SEARCH) == search]
    if not found:
        raise InputError(f"--address {address}: no job there is the search '{search}'")
    newest = max(found, key=lambda job: job.start_time or 0)
    return ClusterJob(str(newest.submission_id), client)


def follow_job(job: ClusterJob, echo: Callable[[str], object]) -> int:
    """Print the output of a job until it ends, and return its exit code.

    Raises:
        KdsearchError: When the job ended without an exit code, or its cluster no longer answers.
    """
    from aiohttp import ClientError

    shown = 0

    async def tail() -> None:
        nonlocal shown
        seen = 0  # every tail starts again at the first line
        async for text in job.client.tail_job_logs(job.id):
            fresh = text[max(0, shown - seen) :]
            seen += len(text)
            shown = max(shown, seen)
            if fresh:
                echo(fresh)

    lost = 0
    while True:
        try:
            asyncio.run(tail())
            info = job.client.get_job_info(job.id)
            if info.status.is_terminal():
                break
            lost = 0
        except (RuntimeError, OSError, ClientError) as error:  # of the connection, not of the job
            lost += 1
            if lost > _PATIENCE:
                raise KdsearchError(
                    f"job {job.id} cannot be reached; it may still be running: {first_line(error)}"
                ) from None
        time.sleep(1)
    if info.status.value == "SUCCEEDED":
        return 0
    if info.driver_exit_code is None:
        raise KdsearchError(f"job {job.id} {info.status.value.lower()}: {_reason(info.message or '')}")
    return int(info.driver_exit_code)


def _reason(message: str) -> str:
    """Ray's message about a job, without its traceback: of requirements that fail, what pip printed."""
    _, told, printed = message.partition("lines of stdout:")
    return "\n".join(map(str.strip, printed.strip().splitlines())) if told else message.strip()


def job_state(job: ClusterJob) -> str:
    """The status of a job and Ray's message about it."""
    info = job.client.get_job_info(job.id)
    return f"{info.status.value.lower()}: {_reason(info.message or '')}"


def job_logs(job: ClusterJob) -> str:
    """All that a job has printed so far."""
    return str(job.client.get_job_logs(job.id))


def stop_job(job: ClusterJob) -> bool:
    """Stop a job by SIGTERM and, three seconds later, SIGKILL. False when it had already ended."""
    return bool(job.client.stop_job(job.id))


def _storage(storage: str, address: str) -> list[str]:
    """Options that name the same storage on the cluster."""
    if address == "auto":
        return ["--set", f"compute.storage={storage if is_bucket(storage) else Path(storage).absolute()}"]
    if not is_bucket(storage) and not Path(storage).is_absolute():
        raise InputError(
            f"compute.storage: {storage} would be lost with the job's working folder on {address}; "
            "name a folder that every node of the cluster has, such as /mnt/shared/kdsearch"
        )
    return []


def _tracking(uri: str, address: str) -> list[str]:
    """Options that name the same MLflow on the cluster."""
    # Only the job can tell what another machine may write to.
    check_uri(uri, here=address == "auto")
    if storable(uri) != uri:
        raise InputError(
            f"tracking uri '{public_uri(uri)}' holds a password, and everyone who sees the job would see it; "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD on the head node"
        )
    if address != "auto" and re.match(r"sqlite:///(?!/)", uri):
        raise InputError(
            f"tracking uri '{uri}' would be lost with the job's working folder on {address}; "
            "name a server, or a file by its full path, as in sqlite:////mnt/shared/mlflow.db"
        )
    return ["--tracking-uri", resolve_uri(uri)]


def _stored_here(place: str) -> list[str]:
    """A pattern that excludes the storage folder, where it lies in the working tree; otherwise nothing."""
    if is_bucket(place):
        return []
    storage, here = Path(place).absolute(), Path.cwd()
    return [f"/{storage.relative_to(here)}/"] if storage.is_relative_to(here) and storage != here else []


def _installed(pip: Path | None) -> dict[str, Any]:
    """The part of a job's runtime environment that says what to install."""
    if pip is None:
        return {}
    if not pip.is_file():
        raise InputError(
            f"--pip {pip}: there is no such file; expected requirements, as `pip install -r` takes"
        )
    for line in pip.read_text(encoding="utf-8").splitlines():
        if scrub(line) != line:
            raise InputError(
                f"--pip {pip}: {scrub(line)}: it holds a password, and everyone who sees the job would see it"
            )
    return {"pip": str(pip)}


def _client(address: str) -> JobSubmissionClient:
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    if address != "auto":
        # Ray would prefer these to the address that was given.
        for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
            os.environ.pop(name, None)
    for chatty in ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk", "_private.runtime_env"):
        logging.getLogger(f"ray.{chatty}").setLevel(logging.ERROR)
    try:
        return JobSubmissionClient(address)
    except AuthenticationError:
        raise InputError(
            f"--address {address}: the cluster asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN "
            "or RAY_AUTH_TOKEN_PATH where ~/.ray/auth_token is not the cluster's"
        ) from None
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise InputError(
            f"--address {address}: no Ray that takes jobs answers there: {first_line(error)}"
        ) from None
