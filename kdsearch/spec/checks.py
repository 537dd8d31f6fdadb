"""What is wrong with a spec whose sections are each well formed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kdsearch.errors import KeyPath, Problem
from kdsearch.spec.deploy import check_deploy
from kdsearch.spec.domains import Choice, Domain
from kdsearch.spec.figures import check_figures
from kdsearch.spec.problems import beyond
from kdsearch.spec.schema import Spec
from kdsearch.spec.teachers import check_teachers
from kdsearch.storage import SCHEMES

#: The sections of a spec in which a value may be a domain.
_SEARCHED = ("student", "distill", "optim", "deploy")
#: Augmentations that show an image in more ways than can be kept.
_MANY = ("cutout", "mixup", "cutmix")


def check(spec: Spec) -> Iterator[Problem]:
    """What is wrong with the sections of a spec taken together."""
    yield from _check_domains(spec)
    yield from _check_integers(spec)
    yield from check_teachers(spec)
    resources = spec.measure.resources
    gpus = resources.get("GPU", 0) if resources else spec.compute.gpus_per_worker
    yield from check_deploy(spec.deploy, timed_on_gpu=gpus > 0)
    yield from check_figures(spec)
    yield from _check_storage(spec.compute.storage)
    yield from _check_outcomes(spec)
    yield from _check_batches(spec)


def _check_domains(spec: Spec) -> Iterator[Problem]:
    fixed = {key: section for key, section in spec.tree().items() if key not in _SEARCHED}
    for path in _domains(fixed, ()):
        yield Problem(path, f"nothing is searched here, only in {', '.join(_SEARCHED)}")


def _domains(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Where domains stand."""
    if isinstance(value, Domain):
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _domains(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _domains(inner, (*path, index))


def _check_integers(spec: Spec) -> Iterator[Problem]:
    for path in _beyond(spec.tree(), ()):
        yield Problem(path, "integers must fit in 64 bits (signed)")


def _beyond(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Where integers stand that no tensor, no seed and no database could hold."""
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list | tuple):
        inner = enumerate(value)
    elif isinstance(value, Choice):
        inner = enumerate(value.options)
    elif isinstance(value, int) and beyond(value):
        yield path
    for key, part in inner:
        yield from _beyond(part, (*path, key))


def _check_storage(storage: str) -> Iterator[Problem]:
    path = ("compute", "storage")
    scheme, mark, rest = storage.partition("://")
    if mark and scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        yield Problem(path, f"expected a folder, or the address of a bucket ({known}); got {scheme}://")
        return
    user, at, _ = rest.partition("?")[0].rpartition("@")
    if mark and at and user != "anonymous":
        yield Problem(path, "it holds a key or a password; buckets take theirs from the environment")


def _check_outcomes(spec: Spec) -> Iterator[Problem]:
    if spec.bank.outcomes and (many := [key for key in _MANY if getattr(spec.data.augment, key)]):
        message = f"with {many[0]} (data.augment) an image can be seen in too many ways for all to be kept"
        yield Problem(("bank", "outcomes"), message)


def _check_batches(spec: Spec) -> Iterator[Problem]:
    if spec.data.batch_size % spec.compute.workers:
        message = f"{spec.data.batch_size} images cannot be split evenly among {spec.compute.workers} workers"
        yield Problem(("data", "batch_size"), message)
