"""The Python interface: what the command line is a thin layer over."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsearch.constraints import parse_constraints
from kdsearch.errors import InputError, nearest
from kdsearch.export import Student, check_out, open_export, write_export
from kdsearch.filenames import INPUT, SPEC, STORAGE, TEACHERS
from kdsearch.registry import metric
from kdsearch.spec import Spec, load_spec
from kdsearch.tracking import SearchRecord, download, names, read_search

if TYPE_CHECKING:
    import pandas as pd

    from kdsearch.export.register import Registered
    from kdsearch.tune.confirm import Confirmation
    from kdsearch.tune.display import Display
    from kdsearch.tune.run import Outcome

_WAYS = ("maximize", "minimize")


@dataclass(frozen=True)
class Search:
    """A search, finished or still running, as MLflow has it."""

    name: str
    uri: str
    outcome: Outcome | None = None
    """The result, where the search ran in this process."""

    @cached_property
    def _record(self) -> SearchRecord:
        return read_search(self.uri, self.name, self.outcome.uid if self.outcome else "")

    @cached_property
    def _stored(self) -> Mapping[str, Any]:
        """The spec as it is stored, unchecked: its parts need not be installed here."""
        from kdsearch.spec import parse_yaml

        tree, _ = parse_yaml(self._record.spec, SPEC)
        if not isinstance(tree, Mapping):
            raise InputError(f"search '{self.name}' has no spec in MLflow (yet)")
        return tree

    @cached_property
    def spec(self) -> Spec:
        """The spec that was searched. InputError where a part of it can't be found."""
        return load_spec(self._stored)

    @cached_property
    def objectives(self) -> dict[str, Any]:
        """The direction of each objective, by metric."""
        stored = self._stored.get("objectives")
        if not (stored and isinstance(stored, Mapping) and all(way in _WAYS for way in stored.values())):
            stored = self.spec.objectives
        return {metric(str(name)): direction for name, direction in stored.items()}

    @property
    def state(self) -> str:
        """`running`, `complete`, `stopped` or `failed`, as MLflow was told; see `stands`."""
        return self._record.state

    @property
    def stands(self) -> str:
        """The state as a predicate, as in `is complete`.

        A search that was killed could not report that to MLflow: its folder is looked at.
        """
        from kdsearch.tune.status import actual_state

        if self.state != "running":
            return f"is {self.state}"
        compute = self._stored.get("compute")
        storage = compute.get("storage") if isinstance(compute, Mapping) else None
        return actual_state(self.name, str(storage or STORAGE), self._record.tags.get(names.UID, ""))

    @property
    def reference(self) -> dict[str, float]:
        """The point up to which hypervolumes of this search count, by metric, fixed before its first trial.

        Raises InputError when it states none: it is still training its teachers, or an older version made it.
        """
        import json

        if (text := self._record.tags.get(names.REFERENCE)) is None:
            raise InputError(f"search '{self.name}' states no reference point (yet)")
        return dict(json.loads(text))

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial: recipe, state, baseline, front, reason, and every final metric."""
        return self._record.trials

    @property
    def front(self) -> pd.DataFrame:
        """The members of the front, best first by the first objective."""
        from kdsearch.pareto import sort_front

        trials = self.trials
        # By an empty column of objects, or an empty list, a frame would be asked for columns.
        return sort_front(trials.loc[trials["front"].astype(bool)], self.objectives)

    def filter(self, where: str | None) -> pd.DataFrame:
        """The members of the front that satisfy constraints such as `latency_ms <= 1`."""
        import numpy as np

        front = self.front
        if not where:
            return front
        columns = front.select_dtypes("number").columns.difference(["number"])
        # Before the first trial there are no columns.
        bounds = parse_constraints(where, [*columns, *self.objectives])
        keeps = [all(bound.holds(float(row[bound.name])) for bound in bounds) for _, row in front.iterrows()]
        return front.loc[np.array(keeps, dtype=bool)]

    def best(self, objective: str | None = None, *, where: str | None = None) -> pd.Series[Any]:
        """The member of the front that is best in one objective, by default the first."""
        from kdsearch.pareto import sort_front

        name = objective or next(iter(self.objectives))
        if name not in self.objectives:
            raise InputError(f"unknown objective '{name}'{nearest(name, self.objectives)}")
        members = self._some(where)
        return sort_front(members, {name: self.objectives[name]}).iloc[0]

    def pick(self, pick: str | None = None, *, where: str | None = None) -> pd.Series[Any]:
        """A trial by rule: `best:OBJECTIVE`, `knee`, or the id of a run of the front."""
        if pick is None or pick == "best" or pick.startswith("best:"):
            return self.best((pick or "").partition(":")[2] or None, where=where)
        members = self._some(where)
        if pick == "knee":
            from kdsearch.pareto import knee

            return members.loc[[knee(members, self.objectives)]].iloc[0]
        chosen = members[(members["run_id"] == pick) | (members["uid"] == pick)]
        if chosen.empty:
            raise InputError(
                f"--pick {pick}: expected best:OBJECTIVE, knee, or a run of the front of {self.name}"
            )
        return chosen.iloc[0]

    def export(self, out: str | Path, *, pick: str | None = None, where: str | None = None) -> Path:
        """Write a member of the front to a new folder: see `kdsearch.export.write_export`."""
        import json

        check_out(Path(out))
        row = self.pick(pick, where=where)
        with tempfile.TemporaryDirectory() as folder:
            student = download(self.uri, str(row["run_id"]), "student", Path(folder))
            try:
                described = json.loads((student / INPUT).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise InputError(f"run {row['run_id']} keeps no whole student: {INPUT}: {error}") from None
            kept = row.drop(["config", "recipe", "front"]).dropna()
            figures = {str(key): value for key, value in kept.items()}
            origin = {"search": self.name, "run": str(row["run_id"])}
            return write_export(
                Path(out),
                Student(row["config"], student, described, figures, self._teachers(Path(folder)), origin),
            )

    def register(self, folder: str | Path, name: str) -> Registered:
        """Put an export of this search into MLflow's registry: see `kdsearch.export.register`."""
        from kdsearch.export.register import register

        return register(open_export(folder), name, self.uri)

    def _teachers(self, folder: Path) -> dict[str, Any]:
        """The records of the search's teachers; none where MLflow lacks them."""
        from kdsearch.spec import parse_yaml

        try:
            file = download(self.uri, self._record.run_id, TEACHERS, folder)
        except InputError:
            return {}
        return parse_yaml(file.read_text(encoding="utf-8"), TEACHERS)[0] or {}

    def confirm(
        self,
        *,
        seeds: int = 5,
        top: int | None = None,
        address: str | None = None,
        display: Display | None = None,
    ) -> Confirmation:
        """Train the front and the baselines again with fresh seeds: see `kdsearch.tune.confirm.run_confirm`.

        Its figures are among those of `trials` once the search is opened again.
        """
        from kdsearch.tune.confirm import run_confirm
        from kdsearch.tune.display import Silent

        return run_confirm(
            self._record,
            self.spec,
            self.uri,
            self.reference,
            seeds=seeds,
            top=top,
            address=address,
            display=display or Silent(),
        )

    def _some(self, where: str | None) -> pd.DataFrame:
        members = self.filter(where)
        if members.empty:
            reason = f"no member of its front satisfies {where}" if where else "its front is empty"
            raise InputError(f"search '{self.name}': {reason}")
        return members


def search(
    spec: str | Path | Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    resume: str | None = None,
    trials: int | None = None,
    concurrent: int | None = None,
    address: str | None = None,
    tracking_uri: str | None = None,
    overrides: Sequence[str] = (),
    display: Display | None = None,
) -> Search:
    """Search the space of a spec for its Pareto front, and return the search.

    Args:
        spec: A YAML file, or its content. It may be left out of a search that is resumed from the default
            storage folder.
        name: Of the search; by default the spec's name, with a number where that is taken.
        resume: Continue the search of this name: finished trials are kept, and interrupted ones continue
            from their checkpoints.
        trials: Instead of `search.trials`.
        concurrent: Instead of `search.concurrent`.
        address: Of a Ray cluster; by default Ray is started here, unless this process is connected already.
        tracking_uri: Instead of `tracking.uri`.
        overrides: `key.of.the.spec=value` each.
        display: Shows the progress; by default nothing is shown.

    Raises:
        InputError: When the spec or an argument is wrong; nothing was started or written then.
        KdsearchError: When no trial succeeded.
    """
    from kdsearch.tracking import resolve_uri
    from kdsearch.tune.display import Silent
    from kdsearch.tune.folder import find_folder
    from kdsearch.tune.run import run_search

    if resume is not None and name is not None:
        raise InputError("--name names a new search, --resume an earlier one: give one of them")
    if spec is None:
        if resume is None:
            raise InputError("a new search needs a spec")
        spec = find_folder(Path(STORAGE), resume) / SPEC
    given = {"search.trials": trials, "search.concurrent": concurrent, "tracking.uri": tracking_uri}
    more = [f"{key}={value}" for key, value in given.items() if value is not None]
    checked = load_spec(spec, [*overrides, *more])
    file = None if isinstance(spec, Mapping) else str(spec)
    outcome = run_search(
        checked,
        file=file,
        name=resume or name,
        resume=resume is not None,
        address=address,
        display=display or Silent(),
    )
    return Search(outcome.name, resolve_uri(checked.tracking.uri), outcome)


def open_search(name: str, tracking_uri: str = "sqlite:///mlflow.db") -> Search:
    """Open a search, finished or still running, by what it wrote to MLflow.

    Raises:
        InputError: When there is none of that name.
    """
    from kdsearch.tracking import resolve_uri

    found = Search(name, resolve_uri(tracking_uri))
    _ = found.state
    return found
