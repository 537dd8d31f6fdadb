"""What Optuna is asked and told, on real studies, without Ray."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from small import small_spec

from kdsearch.distill.matching import match_layers
from kdsearch.distill.preflight import preflight
from kdsearch.spec import constraints_of, load_spec, metrics_of
from kdsearch.tracking import Writer
from kdsearch.tune.cost import cost_of
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.proposals import Finished, Proposal, Proposals
from kdsearch.tune.study import open_study

SAMPLERS = ["tpe", "nsga2", "nsga3", "gp", "random"]


def proposals_of(folder: Path, cost: Any = lambda config: {}, **changes: Any) -> Proposals:
    """Proposals over the small space without hints (their layers need models); nothing is trained."""
    content = small_spec(folder, **changes)
    content["distill"]["losses"].pop("hint", None)
    spec = load_spec(content)
    (folder / "search").mkdir(exist_ok=True)
    writer = Writer(spec.tracking.uri, "test", "test")
    ledger = Ledger(metrics_of(spec), constraints_of(spec), folder / "search", writer)
    study = open_study(spec, ledger, "test")
    best = "conv" if spec.teachers else None
    return Proposals(spec, study, ledger, resolve=dict, cost=cost, best_teacher=best)


def run(proposals: Proposals, outcome: Any, most: int = 100) -> list[Proposal]:
    """Propose and tell, one trial after the other, until it ends. `outcome` gives (state, metrics)."""
    ran: list[Proposal] = []
    while len(ran) < most and isinstance(proposal := proposals.next(), Proposal):
        ran.append(proposal)
        proposals.ledger.start(proposal.uid, proposal.config, proposal.baseline, proposal.params)
        state, metrics = outcome(proposal)
        proposals.ledger.end(proposal.uid, state, metrics)
        proposals.tell(proposals.ledger[proposal.uid])
    return ran


def scores(proposal: Proposal) -> tuple[str, dict[str, float]]:
    """Made-up figures that depend on the config alone."""
    value = int(proposal.uid, 16) % 1000 / 1000
    return "complete", {"accuracy": value, "size_mb": len(str(proposal.config["student"])) / 10}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_gives_the_same_configs_with_every_sampler(sampler, tmp_path):
    runs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        search = {"sampler": sampler, "trials": 14, "seed": 5, "concurrent": 1}
        runs.append([p.uid for p in run(proposals_of(tmp_path / name, search=search), scores)])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == len(runs[0]) >= 16


@pytest.mark.parametrize(
    ("state", "metrics"),
    [
        ("failed", {}),
        ("stopped", {"accuracy": 0.5, "size_mb": 1.0}),
        ("complete", {"accuracy": math.nan, "size_mb": 1.0}),
        ("complete", {"accuracy": math.inf, "size_mb": 1.0}),
        ("complete", {"accuracy": 0.5}),
    ],
    ids=["failed", "stopped early", "NaN", "infinite", "an objective missing"],
)
def test_a_trial_without_proper_values_is_told_as_failed_and_the_study_goes_on(state, metrics, tmp_path):
    proposals = proposals_of(tmp_path)
    first = True

    def outcome(proposal: Proposal) -> Any:
        nonlocal first
        if proposal.baseline or not first:
            return scores(proposal)
        first = False
        return state, metrics

    run(proposals, outcome)
    states = [trial.state for trial in proposals.study.trials]
    assert states.count(TrialState.FAIL) == 1
    assert states.count(TrialState.COMPLETE) == 5
    assert TrialState.RUNNING not in states


def test_measured_constraints_are_told_so_that_best_trials_keep_them(tmp_path):
    proposals = proposals_of(tmp_path, constraints=["accuracy >= 0.5"])
    run(proposals, scores)
    assert proposals.study.best_trials
    assert all(trial.values[0] >= 0.5 for trial in proposals.study.best_trials)
    assert all(proposals.ledger[uid].metrics["accuracy"] >= 0.5 for uid in proposals.ledger.front.keys)


def test_a_config_that_breaks_a_known_constraint_is_never_proposed_and_told_as_infeasible(tmp_path):
    def cost(config: Any) -> dict[str, float]:
        return {"parameters": 500.0 if config["student"]["name"] == "mlp" else 2000.0}

    proposals = proposals_of(tmp_path, cost=cost, constraints=["parameters <= 1000"])
    ran = run(proposals, lambda p: ("complete", scores(p)[1] | cost(p.config)))
    assert {proposal.config["student"]["name"] for proposal in ran} == {"mlp"}
    refused = [trial for trial in proposals.study.trials if trial.state == TrialState.PRUNED]
    assert len(refused) >= len(proposals.refused) > 0
    for trial in refused:
        assert any(value > 0 for key, value in trial.system_attrs.items() if key.startswith("constraints"))


def test_a_config_suggested_again_is_not_run_and_counts_once_for_the_sampler(tmp_path):
    student = {"name": "mlp", "hidden": {"choice": [[4], [8], [16]]}}
    distill = {"losses": {"ce": {}}}
    proposals = proposals_of(tmp_path, student=student, distill=distill, teachers={})
    ran = run(proposals, scores)
    assert len(ran) == len({proposal.uid for proposal in ran}) == 3
    assert proposals.exhausted
    trials = proposals.study.trials
    told = [trial.user_attrs["uid"] for trial in trials if trial.state == TrialState.COMPLETE]
    assert sorted(told) == sorted(proposal.uid for proposal in ran)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.FAIL}


def test_a_genetic_sampler_learns_from_every_trial_that_ran(tmp_path):
    student = {"name": "mlp", "hidden": {"choice": [[4], [8], [16]]}}
    optim = {
        "name": "sgd",
        "lr": {"choice": [0.1, 0.2, 0.3]},
        "momentum": {"choice": [0.0, 0.9]},
        "epochs": 1,
    }
    proposals = proposals_of(
        tmp_path,
        student=student,
        optim=optim,
        distill={"losses": {"ce": {}}},
        teachers={},
        search={"trials": 15, "sampler": {"name": "nsga2", "population": 4}, "baselines": False},
    )
    assert len(run(proposals, scores)) == 15
    trials = proposals.study.get_trials(states=(TrialState.COMPLETE,))
    assert len(trials) == 15
    assert all(any("generation" in key for key in trial.system_attrs) for trial in trials)


def test_a_baseline_that_is_suggested_is_told_once(tmp_path):
    distill = {"teachers": {"members": {"subset": "all", "min": 0}}, "losses": {"ce": {}}}
    proposals = proposals_of(tmp_path, student={"name": "mlp", "hidden": [4]}, distill=distill)
    ran = run(proposals, scores)
    told = [trial.user_attrs["uid"] for trial in proposals.study.get_trials(states=(TrialState.COMPLETE,))]
    assert len(told) == len(set(told)) and {proposal.uid for proposal in ran if proposal.params} <= set(told)
    alone = next(proposal.uid for proposal in ran if not proposal.config["distill"]["teachers"]["members"])
    assert alone in told


def test_a_suggestion_that_is_known_is_varied_and_what_was_good_about_it_kept(tmp_path):
    student = {"name": "mlp", "hidden": {"choice": [[4], [8], [16]]}}
    optim = {"name": "sgd", "lr": {"choice": [0.1, 0.2]}, "momentum": {"choice": [0.0, 0.9]}, "epochs": 1}
    proposals = proposals_of(
        tmp_path, student=student, optim=optim, distill={"losses": {"ce": {}}}, teachers={}
    )
    known = run(proposals, scores, most=1)[0]
    proposals.study.enqueue_trial(known.params)
    varied = proposals.next()
    assert isinstance(varied, Proposal) and varied.params.keys() == known.params.keys()
    assert sum(varied.params[name] != known.params[name] for name in known.params) == 1


def test_a_recipe_in_which_no_loss_acts_is_refused(tmp_path):
    distill = {
        "teachers": {"members": {"subset": "all"}},
        "losses": {"ce": {"weight": {"choice": [0.0, 1.0]}}, "kd": {"weight": {"choice": [0.0, 1.0]}}},
    }
    proposals = proposals_of(tmp_path, distill=distill, search={"sampler": "random", "trials": 12, "seed": 0})
    ran = run(proposals, scores)
    assert all(proposal.config["distill"]["losses"] for proposal in ran)
    assert set(proposals.refused.values()) == {"no loss acts"}


def test_a_student_that_cannot_be_built_between_the_extremes_is_refused(tmp_path):
    content = small_spec(
        tmp_path,
        student={"name": "gappy:Gappy", "width": {"int": [4, 8]}},
        search={"sampler": "random", "trials": 12, "seed": 0, "baselines": False},
        constraints=["parameters <= 10000"],
    )
    content["distill"]["losses"]["hint"] = {"match": [{"teacher": "conv", "pairs": "last"}]}
    spec = load_spec(content)
    facts = preflight(spec)
    for resolve in (lambda config: match_layers(config, facts.layers), dict):
        folder = tmp_path / resolve.__name__.strip("<>")
        folder.mkdir()
        ledger = Ledger(metrics_of(spec), constraints_of(spec), folder, Writer(spec.tracking.uri, "a", "a"))
        study = open_study(spec, ledger, "test")
        proposals = Proposals(
            spec, study, ledger, resolve=resolve, cost=cost_of(spec, facts), best_teacher=None
        )
        ran = run(proposals, scores)
        assert {proposal.config["student"]["width"] for proposal in ran} == {4, 8}
        reasons = "\n".join(proposals.refused.values())
        assert "model 'gappy:Gappy' cannot be built: 'no layers for a width of 5'" in reasons
        assert "model 'gappy:Gappy' fails on images of shape (1, 8, 8): six is too many" in reasons
        assert all(trial.state.is_finished() for trial in study.trials)


def test_twins_wait_for_running_trials_and_are_the_front_without_teachers(tmp_path):
    proposals = proposals_of(tmp_path, search={"sampler": "random", "trials": 2, "seed": 0})
    taken = [proposals.next() for _ in range(4)]
    for proposal in taken:
        proposals.ledger.start(proposal.uid, proposal.config, proposal.baseline, proposal.params)
    assert proposals.next() is None
    for proposal in taken:
        proposals.ledger.end(proposal.uid, *scores(proposal))
        proposals.tell(proposals.ledger[proposal.uid])
    front = [proposals.ledger[uid] for uid in proposals.ledger.front.keys]
    twins = {p.uid for p in run(proposals, scores)}
    assert {proposals.ledger.twin(record) for record in front} <= twins | {p.uid for p in taken}
    assert isinstance(proposals.next(), Finished)


def test_after_stop_nothing_is_proposed(tmp_path):
    proposals = proposals_of(tmp_path)
    assert isinstance(proposals.next(), Proposal)
    proposals.stop()
    assert isinstance(proposals.next(), Finished)


def test_the_journal_is_a_study_that_optuna_opens(tmp_path):
    run(proposals_of(tmp_path), scores)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "search/study.journal"))
    study = optuna.load_study(study_name="test", storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) == 6
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
