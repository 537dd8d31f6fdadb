"""Training one config, or the teachers of a spec, without a search; a single worker needs no Ray."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdsearch.errors import InputError, KdsearchError
from kdsearch.export import Student, check_out, write_export
from kdsearch.filenames import INPUT, WEIGHTS
from kdsearch.space import RandomTrial, canonical, dimensions, fingerprint, sample
from kdsearch.spec import Spec, load_spec
from kdsearch.storage import local


def train_config(
    spec: Spec, *, file: str | None, out: Path | None, report: Callable[[str], None]
) -> dict[str, Any]:
    """Distill one config, exactly as a search would.

    Args:
        spec: A spec with nothing left to search.
        file: Where it came from, for messages.
        out: The folder to export the student to; None keeps only its teachers.
        report: Called with a line for each epoch.

    Returns:
        Its figures, those on the test split among them.

    Raises:
        InputError: When there is something left to search, or the config is not valid.
    """
    from kdsearch.distill.matching import match_layers
    from kdsearch.distill.preflight import preflight

    if left := dimensions(spec):
        names = ", ".join(dimension.name for dimension in left[:3])
        raise InputError(
            f"{file or 'the spec'} leaves {len(left)} dimensions to search ({names}, …): a config has none"
        )
    if out is not None:
        check_out(out)
    facts = preflight(spec, file)
    # Domains that leave nothing to search, such as a subset of one, are still domains until they are drawn.
    drawn = sample(spec, RandomTrial(spec.search.seed))
    config = canonical(match_layers(drawn, facts.layers))
    if not config["distill"]["losses"]:
        raise InputError(f"{file or 'the spec'}: every loss has weight 0 or nothing to act on")

    def epoch(metrics: dict[str, float]) -> bool:
        report(
            f"epoch {metrics['epoch']:.0f}  loss {metrics['loss']:.4f}  accuracy {metrics['accuracy']:.4f}"
        )
        return True

    checked = load_spec(config)
    with tempfile.TemporaryDirectory() as part:
        if checked.compute.workers == 1:
            described, metrics = _here(checked, Path(part), epoch, report)
        else:
            described, metrics = _in_a_group(checked, Path(part), report)
        if checked.compute.profile:
            _keep_profile(checked, Path(part), report)
        if out is not None:
            try:
                write_export(out, Student(config, Path(part), described, metrics, _records(checked)))
            except (KdsearchError, OSError):
                kept = shutil.copytree(part, out.with_name(f"{out.name}-not-exported"), dirs_exist_ok=True)
                report(f"what was trained is kept in {kept}")
                raise
    return metrics


def _here(
    config: Spec, folder: Path, epoch: Callable[[dict[str, float]], bool], report: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    from kdsearch.distill.session import Session, ensure_teachers, local_worker
    from kdsearch.distill.ship import check_runtime, place_of

    worker = local_worker(config)
    # Checked before anything is trained: a form for a GPU is refused where there is none.
    place_of(config.deploy, worker.device)
    check_runtime(config)
    session = Session(local(config.compute.storage), worker)
    ensure_teachers(config, session, lambda name, text: report(f"teacher {name}: {text}"))
    metrics: dict[str, Any] = session.trial(config, folder, epoch)
    metrics |= session.finish(config, folder / WEIGHTS)
    return session.resident.splits(config).described(), metrics


def _keep_profile(config: Spec, folder: Path, report: Callable[[str], None]) -> None:
    """Move what was profiled from a trial's folder into the storage folder, and show it."""
    from kdsearch.distill.profile import TABLE, TRACE, as_text, summed

    kept = local(config.compute.storage) / "profiles" / fingerprint(config.tree())
    kept.mkdir(parents=True, exist_ok=True)
    for path in (folder / name for name in (TABLE, TRACE)):
        if path.exists():
            shutil.move(path, kept / path.name)
    report(f"where the time went ({kept}):")
    report(as_text(summed([kept / TABLE])))


def _in_a_group(
    config: Spec, folder: Path, report: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    import json

    from kdsearch.tune.single import run_single

    metrics = run_single(config, folder, report)
    return json.loads((folder / INPUT).read_text(encoding="utf-8")), metrics


def _records(config: Spec) -> dict[str, dict[str, Any]]:
    """The records of a config's teachers, which are in the store by now."""
    from kdsearch.distill.teachers import TeacherStore, teacher_key

    store = TeacherStore(local(config.compute.storage) / "teachers")
    return {name: store.record(teacher_key(config, name)) or {} for name in config.teachers}


def train_teachers(
    spec: Spec, *, file: str | None, report: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """The record of every teacher of a spec; those not in the store are trained here."""
    from kdsearch.distill.preflight import preflight
    from kdsearch.distill.session import Session, ensure_teachers, local_worker

    if not spec.teachers:
        raise InputError(f"{file or 'the spec'} names no teachers")
    preflight(spec, file)
    session = Session(local(spec.compute.storage), local_worker(spec))
    return ensure_teachers(spec, session, lambda name, text: report(f"teacher {name}: {text}"))
