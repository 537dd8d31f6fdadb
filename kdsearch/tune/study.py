"""The Optuna study of a search, in a journal file beside its other files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kdsearch.registry import find
from kdsearch.spec import Spec
from kdsearch.tune.ledger import Ledger

if TYPE_CHECKING:
    import optuna


def open_study(spec: Spec, ledger: Ledger, name: str) -> optuna.Study:
    """The study of a search: a new one, or the one that an earlier run left.

    A sampler that goes on is seeded anew, or it would draw again what it drew at first.
    """
    import warnings

    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    journal = ledger.folder / "study.journal"
    mend(journal)
    study = optuna.create_study(
        study_name=name,
        directions=list(ledger.objectives.values()),
        storage=JournalStorage(JournalFileBackend(str(journal))),
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


def mend(journal: Path) -> None:
    """Cut a journal at its first line that is not whole: a full disk or a lost node may have left one."""
    content = journal.read_bytes() if journal.exists() else b""
    whole = 0
    for line in content.splitlines(keepends=True):
        try:
            if not line.endswith(b"\n") or not isinstance(json.loads(line), dict):
                break
        except ValueError:
            break
        whole += len(line)
    if whole < len(content):
        with journal.open("r+b") as file:
            file.truncate(whole)
