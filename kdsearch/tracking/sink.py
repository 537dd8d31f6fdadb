"""Work written to MLflow: values in batches, states, files. Called from one thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kdsearch.spec.secrets import scrub
from kdsearch.tracking.client import is_temporary
from kdsearch.tracking.roster import Roster
from kdsearch.tracking.work import Remove, Text, Upload, Work

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_log = logging.getLogger("kdsearch.tracking")

_STATUS = {"running": "RUNNING", "complete": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}


class Sink:
    """Writes to the runs of a roster.

    `write` raises only when the store cannot be reached; the work then holds what is still to be written.
    What the store refuses for good is logged, counted in `refused`, and dropped; all else is written.
    """

    def __init__(self, roster: Roster) -> None:
        self.refused = 0
        self._roster = roster

    def write(self, uid: str | None, work: Work) -> None:
        """Write `work` to the run of `uid`, created if need be, and take out of it what is written."""
        client = self._roster.open()
        if not self._settle(f"the config of trial {uid}", work.unfold):
            work.config = None
        ensure = partial(self._roster.ensure, uid, work.name or str(uid), work.born)
        if not self._settle(f"a run for trial {uid}", ensure):
            return
        run, earlier = self._roster.run_id(uid), self._roster.take_earlier(uid)
        if earlier is not None and _says(earlier, work):
            work.drop_values()
        self._write_values(client, run, work)
        for key, value in work.shared.items():
            share = partial(client.set_experiment_tag, self._roster.experiment, key, value)
            self._settle(f"{key} of the experiment", share)
        work.shared.clear()
        self._write_state(client, uid, run, work)
        while work.files:
            self._write_file(client, run, work.files[0])
            del work.files[0]

    def _write_values(self, client: MlflowClient, run: str, work: Work) -> None:
        if not (work.points or work.params or work.tags):
            return
        from mlflow.entities import Metric, Param, RunTag

        kinds = {
            "metrics": [Metric(k, v, p.time, p.step) for p in work.points for k, v in p.values.items()],
            "params": [Param(k, v) for k, v in work.params.items()],
            "tags": [RunTag(k, v) for k, v in work.tags.items()],
        }
        try:
            client.log_batch(run, **kinds)
        except Exception as error:
            if is_temporary(error):
                raise
            # One refused value, as a param that changed, must not take the others with it.
            for kind, values in kinds.items():
                self._settle(f"{kind} of run {run}", partial(client.log_batch, run, **{kind: values}))
        for written in (work.points, work.params, work.tags):
            written.clear()

    def _write_state(self, client: MlflowClient, uid: str | None, run: str, work: Work) -> None:
        if work.state == "running":
            self._settle(f"the state of run {run}", partial(client.update_run, run, "RUNNING"))
        elif work.state is not None:
            end = partial(client.set_terminated, run, _STATUS[work.state], work.changed)
            self._settle(f"the state of run {run}", end)
            self._settle(f"to delete copies of run {run}", partial(self._roster.prune, uid))
        work.state = None

    def _write_file(self, client: MlflowClient, run: str, file: Upload | Text | Remove) -> None:
        match file:
            case Text(path, text):
                self._settle(f"{path} of run {run}", lambda: client.log_text(run, text, path))
            case Upload(path, folder):
                log = client.log_artifacts if path.is_dir() else client.log_artifact
                self._settle(f"{path} of run {run}", lambda: log(run, str(path), folder))
            case Remove(path):
                self._remove(client, run, path)

    def _remove(self, client: MlflowClient, run: str, path: str) -> None:
        """A file that stays costs space and nothing else, and some stores cannot delete: tried once."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        try:
            place = client.get_run(run).info.artifact_uri
            get_artifact_repository(place, tracking_uri=self._roster.uri).delete_artifacts(path)
        except Exception as error:
            _log.info("%s of run %s stays: %s", path, run, scrub(str(error)))

    def _settle(self, what: str, call: Callable[[], object]) -> bool:
        """Whether `call` succeeded; False once the store has refused it for good."""
        try:
            call()
        except Exception as error:
            if is_temporary(error):
                raise
            self.refused += 1
            _log.warning("MLflow refuses %s: %s", what, scrub(str(error)))
            return False
        return True


def _says(run: Run, work: Work) -> bool:
    """Whether a run has ended as it should, with the same figures: its end is written after all else."""
    figures = {key: value for point in work.points for key, value in point.values.items()}
    return (
        work.state is not None
        and run.info.status == _STATUS[work.state] != "RUNNING"
        and run.data.metrics.items() >= figures.items()
        and run.data.params.items() >= work.params.items()
        and run.data.tags.items() >= work.tags.items()
    )
