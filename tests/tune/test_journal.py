"""A study in a journal of one's own, beside Optuna's journal: the same study, on file and in memory."""

from __future__ import annotations

import resource

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from kdsearch.tune.journal import OwnJournal

STATES = (None, (TrialState.WAITING,), (TrialState.COMPLETE, TrialState.PRUNED), tuple(TrialState))


def opened(storage):
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=5)
    return optuna.create_study(study_name="s", storage=storage, sampler=sampler, load_if_exists=True)


def use(study) -> None:
    """Do with a study all that a search does."""
    waiting = study.ask()
    for _ in range(8):
        trial = study.ask()
        trial.set_user_attr("uid", str(trial.number))
        study.tell(trial, trial.suggest_float("x", 0, 1, log=False))
    study.enqueue_trial({"x": 0.25}, user_attrs={"uid": "given"})
    study.enqueue_trial({"x": 0.5})
    pruned = study.ask()
    pruned.suggest_float("x", 0, 1)
    pruned.set_constraint("size", 1.0)
    study.tell(pruned, state=TrialState.PRUNED)
    study.tell(waiting, state=TrialState.FAIL)


def told(study, states=None):
    return [
        (t.number, t.state, t.params, t.values, t.user_attrs, t.system_attrs)
        for t in study.get_trials(deepcopy=False, states=states)
    ]


@pytest.mark.parametrize("states", STATES)
def test_a_study_is_what_it_is_in_optunas_journal(states, tmp_path):
    ours = opened(OwnJournal(tmp_path / "ours"))
    theirs = opened(JournalStorage(JournalFileBackend(str(tmp_path / "theirs"))))
    for study in (ours, theirs):
        use(study)
        study.get_trials(deepcopy=False)
        use(study)
    assert told(ours, states) == told(theirs, states) and told(ours)
    assert [t.params for t in ours.trials] == [t.params for t in theirs.trials]


def test_optuna_reads_what_was_written_and_it_is_gone_on_with(tmp_path):
    path = tmp_path / "journal"
    use(opened(OwnJournal(path)))
    again = opened(OwnJournal(path))
    assert told(again) == told(opened(JournalStorage(JournalFileBackend(str(path)))))
    use(again)
    assert told(again) == told(opened(JournalStorage(JournalFileBackend(str(path)))))
    assert len(told(again)) == 21


def test_trials_that_another_process_enters_meanwhile_are_run(tmp_path):
    path = tmp_path / "journal"
    study = opened(OwnJournal(path))
    use(study)
    other = opened(JournalStorage(JournalFileBackend(str(path))))
    running = study.ask()
    other.enqueue_trial({"x": 0.125})
    other.set_user_attr("note", "mine")
    study.tell(running, running.suggest_float("x", 0, 1))
    asked = [study.ask() for _ in range(3)]
    assert 0.125 in [trial.suggest_float("x", 0, 1) for trial in asked]
    assert told(study) == told(opened(JournalStorage(JournalFileBackend(str(path))))) == told(study)
    assert study.user_attrs == {"note": "mine"}


def test_what_did_not_fit_on_the_disk_is_taken_back(tmp_path):
    """The limit on the size of a file cuts a line short, as a full disk does."""
    path = tmp_path / "journal"
    study = opened(OwnJournal(path))
    use(study)
    before, known = path.read_bytes(), told(study)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(OSError, match="No space left"):
            study.add_trial(optuna.create_trial(value=0.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    use(study)
    assert told(study)[:10] == known[:10] and len(told(study)) == 21
    assert told(opened(OwnJournal(path))) == told(study)
