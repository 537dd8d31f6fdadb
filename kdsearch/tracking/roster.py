"""The MLflow run of each uid: found, or created, once. Used by one thread."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from kdsearch.tracking import names
from kdsearch.tracking.client import connect, runs
from kdsearch.tracking.store import artifact_location, resolve_uri
from kdsearch.tracking.work import now

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


class Roster:
    """The runs of one search: the parent (uid None) and a run nested in it for each trial.

    MLflow gives run ids itself, so a creation that timed out may have succeeded all the same. Before it is
    repeated the run is looked for, and once more by `prune`, in case the store did it even later.
    """

    def __init__(
        self, uri: str, experiment: str, search: str, *, resume: bool, uid: str | None = None
    ) -> None:
        self.uri = resolve_uri(uri)
        self._experiment_name = experiment
        self._search = search
        self._resume = resume
        self._known = uid is not None
        self._identity = uid or uuid.uuid4().hex
        self._started = now()
        self._client: MlflowClient | None = None
        self.experiment = ""
        self._runs: dict[str | None, str] = {}
        self._earlier: dict[str | None, Run] = {}
        self._tried: set[str | None] = set()
        self._doubtful: set[str | None] = set()

    def open(self) -> MlflowClient:
        """The client, once the experiment and the parent run exist and all earlier trials are known."""
        if self._client is not None:
            return self._client
        client = connect(self.uri)
        self.experiment = self._find_experiment(client)
        parent = self._find_earlier(client) or self._create(client, None, self._search, self._started)
        trials = [*runs(client, [self.experiment], names.equals(names.PARENT, parent))]
        self._earlier = {run.data.tags[names.UID]: run for run in trials if names.UID in run.data.tags}
        self._runs = {uid: run.info.run_id for uid, run in self._earlier.items()} | {None: parent}
        self._client = client  # last, so that a store that goes away meanwhile is asked everything again
        return client

    def ensure(self, uid: str | None, name: str, born: int) -> None:
        """Create a run for `uid`, called `name` and begun at `born`, unless it has one."""
        client = self.open()
        if uid not in self._runs:
            self._runs[uid] = self._create(client, uid, name, born)

    def take_earlier(self, uid: str | None) -> Run | None:
        """The run of `uid` as an earlier writer left it; only the first time, since it may change then."""
        return self._earlier.pop(uid, None)

    def run_id(self, uid: str | None) -> str:
        """The run of `uid`, which has been ensured."""
        return self._runs[uid]

    def prune(self, uid: str | None) -> None:
        """Delete other runs of `uid`, left by a creation that only seemed to fail."""
        if uid not in self._doubtful:
            return
        client = self.open()
        for run in runs(client, [self.experiment], self._condition(uid)):
            if run.info.run_id != self._runs[uid]:
                client.delete_run(run.info.run_id)
        self._doubtful.discard(uid)

    def _create(self, client: MlflowClient, uid: str | None, name: str, born: int) -> str:
        if uid in self._tried:
            self._doubtful.add(uid)
            for run in runs(client, [self.experiment], self._condition(uid)):
                return str(run.info.run_id)
        self._tried.add(uid)
        tags = {names.SEARCH: self._search, names.UID: uid or self._identity}
        kind = {names.KIND: "trial", names.PARENT: self._runs[None]} if uid else {names.KIND: "search"}
        return str(client.create_run(self.experiment, born, tags | kind, name).info.run_id)

    def _condition(self, uid: str | None) -> str:
        own = names.equals(names.UID, uid or self._identity)
        return f"{own} and {names.equals(names.PARENT, self._runs[None])}" if uid else own

    def _find_experiment(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(self._experiment_name)
        if found is None:
            location = artifact_location(self.uri, self._experiment_name)
            return str(client.create_experiment(self._experiment_name, location))
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _find_earlier(self, client: MlflowClient) -> str | None:
        """The parent run to continue: the search's own, or the newest of its name where that is not known."""
        if not self._resume:
            return None
        which = (names.UID, self._identity) if self._known else (names.SEARCH, self._search)
        condition = f"{names.equals(*which)} and {names.equals(names.KIND, 'search')}"
        found = [run.info.run_id for run in runs(client, [self.experiment], condition)]
        return found[-1] if found else None
