"""The Optuna study of a search, in a journal file beside its other files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kdsearch.registry import find
from kdsearch.spec import Spec
from kdsearch.tune.ledger import Ledger
from kdsearch.tune.records import read_lines

if TYPE_CHECKING:
    import optuna


def open_study(spec: Spec, ledger: Ledger, name: str) -> optuna.Study:
    """The study of a search: a new one, or the one that an earlier run left.

    A sampler that goes on is seeded anew, or it would draw again what it drew at first.
    """
    import warnings

    import optuna

    from kdsearch.tune.journal import OwnJournal

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    journal = ledger.folder / "study.journal"
    # A full disk or a lost node may have left a line that is not whole.
    read_lines(journal, set(), repair=True)
    study = optuna.create_study(
        study_name=name,
        directions=list(ledger.objectives.values()),
        storage=OwnJournal(journal),
        load_if_exists=True,
    )
    sampler = find("sampler", spec.search.sampler.part).load()
    done = len(study.get_trials(deepcopy=False))
    study.sampler = sampler(seed=spec.search.seed + done, **spec.search.sampler.options)
    return study


def stored_study(folder: Path, name: str) -> optuna.Study | None:
    """The study of a search as its folder keeps it; None where it keeps none."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = folder / "study.journal"
    if not path.exists():
        return None
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))
