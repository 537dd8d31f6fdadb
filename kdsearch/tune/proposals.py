"""Which config comes next: baselines first, then what Optuna suggests, then the twins without a teacher.

Optuna is asked and told here, so that each of its trials ends as what it was, and no config runs twice.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kdsearch.errors import InputError
from kdsearch.space import RandomTrial, body, canonical, fingerprint, sample, without_teachers
from kdsearch.spec import Spec
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.records import Record

if TYPE_CHECKING:
    import optuna

#: Suggestions in a row that may be refused before they are varied, attempts until nothing is left of what was
#: suggested, and before giving up.
_REFUSED, _VARIED, _MOST = 10, 100, 1000


@dataclass(frozen=True)
class Proposal:
    """A config to be run, and what it is: a baseline ('labels', 'kd') or not ('').

    `params` are those of Optuna's trial, where it has one.
    """

    uid: str
    config: dict[str, Any]
    baseline: str = ""
    params: dict[str, Any] = field(default_factory=dict)


class Finished:
    """There is nothing left to propose."""


class Proposals:
    """Hands out configs and tells the study what became of them."""

    def __init__(
        self,
        spec: Spec,
        study: optuna.Study,
        ledger: Ledger,
        *,
        resolve: Callable[[Mapping[str, Any]], dict[str, Any]],
        cost: Callable[[Mapping[str, Any]], Mapping[str, float]],
        best_teacher: str | None,
    ) -> None:
        """
        Args:
            spec: The space.
            study: Whose sampler suggests.
            ledger: All trials so far.
            resolve: Replaces depths in a config by layers.
            cost: What is known of a student before it is trained, by objective.
            best_teacher: The teacher of the plain distillation that stands as a baseline.
        """
        self.spec = spec
        self.study = study
        self.ledger = ledger
        self.refused: dict[str, str] = {}
        self.exhausted = False
        self._resolve, self._cost, self._best_teacher = resolve, cost, best_teacher
        self._objectives = list(ledger.objectives)
        self._queue: deque[Proposal] = deque()
        self._asked: dict[str, optuna.Trial] = {}
        #: Suggestions that the study has made and no trial has begun with.
        self._pending: deque[optuna.Trial] = deque()
        #: The configs whose end the study knows.
        self._told: set[str] = set()
        self._proposed = 0
        self._stopped = False

    def resume(self) -> None:
        """Continue from the records that the ledger restored, and bring the study in line with them.

        Trials that were not finished are proposed again, and suggestions that had not begun come first. A
        study that has lost its journal is told of all trials again.
        """
        import optuna

        self._proposed = sum(not record.baseline for record in self.ledger)
        for frozen in self.study.get_trials(deepcopy=False):
            uid = frozen.user_attrs.get("uid")
            if frozen.state.is_finished():
                self._told.add(str(uid))
                if frozen.state == optuna.trial.TrialState.PRUNED and uid not in self.ledger:
                    self.refused[str(uid)] = "refused before the search was resumed"
            elif frozen.state == optuna.trial.TrialState.RUNNING:
                self._take_up(optuna.Trial(self.study, frozen._trial_id), uid)
            else:
                self._pending.append(self.study.ask())  # a random draw, waiting to be asked for
        for record in self.ledger:
            if record.params and record.uid not in self._told | self._asked.keys():
                self._enter(record)
        unfinished = [record for record in self.ledger if record.unfinished]
        self._queue.extend(Proposal(r.uid, r.config, r.baseline, r.params) for r in unfinished)

    def _take_up(self, trial: optuna.Trial, uid: str | None) -> None:
        """A trial that the study believes to be running."""
        if uid is None or uid not in self.ledger:
            self._pending.append(trial)
        elif not self.ledger[uid].unfinished:
            self._tell(trial, self.ledger[uid])
        elif uid in self._asked:
            self._end(trial, "failed")
        else:
            self._asked[uid] = trial

    def _enter(self, record: Record) -> None:
        """Tell the study of a trial that it has lost."""
        trial = self._given(record.params, uid=record.uid)
        sample(self.spec, trial)
        self._take_up(trial, record.uid)

    def stop(self) -> None:
        """Propose nothing more."""
        self._stopped = True

    @property
    def planned(self) -> int:
        """How many trials the search will have, as far as is known: baselines and twins are extra."""
        queued = sum(proposal.uid not in self.ledger for proposal in self._queue)
        return len(self.ledger.records) + queued + max(0, self._left)

    @property
    def _left(self) -> int:
        return 0 if self.exhausted or self._stopped else self.spec.search.trials - self._proposed

    def next(self) -> Proposal | Finished | None:
        """The next config; None when that depends on trials that still run."""
        if self._stopped:
            return Finished()
        if not self._queue and self._left > 0:
            self._ask()
        if not self._queue and self.spec.search.baselines:
            if self.ledger.running:
                return None
            self._queue.extend(self._twins())
        return self._queue.popleft() if self._queue else Finished()

    def tell(self, record: Record) -> None:
        """Report how a proposed config ended; one that goes on when resumed has not, for the study."""
        if record.unfinished:
            return
        if (trial := self._asked.pop(record.uid, None)) is not None:
            self._tell(trial, record)

    def _ask(self) -> None:
        proposal = self._suggest()
        if proposal is None:
            self.exhausted = True
            return
        self._proposed += 1
        if self._proposed == 1 and self.spec.search.baselines:
            baselines = self._baselines(proposal.config)
            self._queue.extend(b for b in baselines if b.uid != proposal.uid and b.uid not in self.ledger)
        self._queue.append(proposal)

    def _suggest(self) -> Proposal | None:
        """A config that is new and keeps the constraints known before training; None when none is found.

        One that has been run is varied: a sampler that is sure of itself would suggest it again, at the cost
        of another model of all trials.
        """
        known, suggested = False, dict[str, Any]()
        for attempt in range(_MOST):
            varied = (known or attempt >= _REFUSED) and not self._pending
            trial = self._varied(suggested, attempt) if varied else self._next()
            drawn, reason = sample(self.spec, trial), ""
            suggested = suggested if varied else trial.params
            try:
                config = canonical(self._resolve(drawn))
            except InputError as error:  # a model between those that were tried before the search
                config, reason = canonical(drawn), str(error)
            uid = fingerprint(config)
            trial.set_user_attr("uid", uid)
            known = known or uid in self.ledger or uid in self.refused
            if uid in self.ledger:
                self._tell_again(trial, self.ledger[uid])
            elif reason := reason or self._refusal(trial, config):
                self.refused[uid] = reason
                self._end(trial, "pruned")
            else:
                self._asked[uid] = trial
                return Proposal(uid, config, params=trial.params)
        return None

    def _next(self) -> optuna.Trial:
        return self._pending.popleft() if self._pending else self.study.ask()

    def _varied(self, suggested: Mapping[str, Any], attempt: int) -> optuna.Trial:
        """A trial near a suggestion, and farther from it with every attempt."""
        seed = hash((self.spec.search.seed, self._proposed, attempt))
        varied = RandomTrial(seed, suggested, rate=attempt / _VARIED)
        sample(self.spec, varied)
        return self._given(varied.params)

    def _given(self, params: dict[str, Any], **attributes: str) -> optuna.Trial:
        """A trial with these parameters, of which a genetic sampler learns as of its own."""
        from optuna.samplers import BaseGASampler

        self.study.enqueue_trial(params, user_attrs=attributes)
        trial = self.study.ask()
        if isinstance(sampler := self.study.sampler, BaseGASampler):
            # A trial whose params are all given asks the sampler for none, and so would have no generation.
            sampler.get_trial_generation(self.study, self.study._storage.get_trial(trial._trial_id))
        return trial

    def _tell_again(self, trial: optuna.Trial, record: Record) -> None:
        """End a trial whose config is known: it is told once, and baselines and twins had no trial before."""
        if record.unfinished or record.uid in self._told:
            self._end(trial, "failed")
        else:
            self._tell(trial, record)

    def _refusal(self, trial: optuna.Trial, config: Mapping[str, Any]) -> str:
        """Why a config must not run; '' when it may. Constraints that are broken are noted with the trial."""
        if not config["distill"]["losses"]:
            return "no loss acts"
        try:
            cost = self._cost(config)
        except InputError as error:
            return str(error)
        broken = [c for c in self.ledger.constraints if c.name in cost and not c.holds(cost[c.name])]
        if broken:
            self._constrain(trial, cost)
        return " and ".join(f"{c.name} is {cost[c.name]:.4g}, not {c.operator} {c.bound:g}" for c in broken)

    def _constrain(self, trial: optuna.Trial, metrics: Mapping[str, float]) -> None:
        for index, constraint in enumerate(self.ledger.constraints):
            if constraint.name in metrics:
                trial.set_constraint(f"{index}: {constraint}", constraint.violation(metrics[constraint.name]))

    def _tell(self, trial: optuna.Trial, record: Record) -> None:
        self._told.add(record.uid)
        if record.infeasible:
            trial.set_constraint("infeasible", 1.0)
            self._end(trial, "pruned")
            return
        values = [record.metrics.get(name, float("nan")) for name in self._objectives]
        if record.state != "complete" or not all(map(math.isfinite, values)):
            self._end(trial, "failed")
            return
        self._constrain(trial, record.metrics)
        self.study.tell(trial, [float(value) for value in values])

    def _end(self, trial: optuna.Trial, how: str) -> None:
        from optuna.trial import TrialState

        self.study.tell(trial, state=TrialState.PRUNED if how == "pruned" else TrialState.FAIL)

    def _baselines(self, config: Mapping[str, Any]) -> list[Proposal]:
        """The student of `config` from labels alone, and with plain distillation (Hinton et al., 2015)."""
        configs = {"labels": without_teachers(config)}
        if self._best_teacher is not None:
            tree = self.spec.tree()
            losses = {
                "ce": {"name": "ce", "weight": 0.1, "label_smoothing": 0.0},
                "kd": {"name": "kd", "weight": 0.9, "temperature": 4.0},
            }
            use = {"members": [self._best_teacher], "combine": {"name": "mean"}, "dropout": 0.0}
            distill = {"teachers": use, "losses": losses}
            student = body(config["student"])
            made = {**config, "student": student, "teachers": tree["teachers"], "distill": distill}
            configs["kd"] = canonical(made)
        return [Proposal(fingerprint(c), c, name) for name, c in configs.items()]

    def _twins(self) -> list[Proposal]:
        """The members of the front, trained from labels alone, as far as that has not been done."""
        records = [self.ledger[uid] for uid in self.ledger.front.keys]
        twins = {self.ledger.twin(record): without_teachers(record.config) for record in records}
        return [Proposal(uid, config, "labels") for uid, config in twins.items() if uid not in self.ledger]
