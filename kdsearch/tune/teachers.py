"""The teachers of a search: each trained once, whoever needs it first, and read by everyone after."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kdsearch.distill.teachers import TeacherStore, teacher_key
from kdsearch.errors import KdsearchError
from kdsearch.spec import Spec
from kdsearch.tune.jobs import Job, JobError
from kdsearch.tune.slots import Slots


def get_teachers(
    spec: Spec, storage: Path, slots: Slots, note: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """The record of every teacher of a spec, by name; those not stored are trained in the worker groups.

    Raises:
        KdsearchError: When a teacher can't be trained.
    """
    store = TeacherStore(storage / "teachers")

    def get(name: str) -> dict[str, Any]:
        key = teacher_key(spec, name)
        with store.lock(key, slots.stopping.is_set):
            if (record := store.record(key)) is not None:
                note(f"teacher {name}: in the store, validation accuracy {record['metrics']['accuracy']:.2%}")
                return record
            note(f"teacher {name}: {'loading' if spec.teachers[name].weights else 'training'}")
            job: Job = {
                "uid": f"teacher-{key}",
                "kind": "teacher",
                "teacher": name,
                "config": spec.plain(),
                "folder": str(store.folder),
            }
            try:
                record = slots.run(job)["record"]
            except JobError as error:
                raise KdsearchError(f"teacher '{name}': {error}") from None
        note(f"teacher {name}: validation accuracy {record['metrics']['accuracy']:.2%}")
        return dict(record)

    if not spec.teachers:
        return {}
    with ThreadPoolExecutor(slots.count) as pool:
        try:
            return dict(zip(spec.teachers, pool.map(get, spec.teachers), strict=True))
        except KeyboardInterrupt:
            slots.close(0)  # what the pool waits for
            raise


def best_teacher(spec: Spec, records: dict[str, dict[str, Any]]) -> str | None:
    """The teacher most accurate on the validation split, of those that know all classes."""
    whole = [name for name in records if spec.teachers[name].classes is None]
    return max(whole, key=lambda name: records[name]["metrics"]["accuracy"], default=None)
