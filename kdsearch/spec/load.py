"""From a file or a mapping to a valid `Spec`, or to every problem with file, line and key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kdsearch.errors import InputError, Problem, SpecError, nearest
from kdsearch.registry import find
from kdsearch.spec.deploy import check_deploy
from kdsearch.spec.domains import Choice, Domain, Simplex, Subset
from kdsearch.spec.figures import check_figures
from kdsearch.spec.problems import Place, beyond, readable
from kdsearch.spec.recipe import Ensemble, Loss, Match
from kdsearch.spec.schema import Spec
from kdsearch.spec.yaml import DEEPEST, parse_yaml, read_yaml
from kdsearch.storage import SCHEMES

#: The sections of a spec in which a value may be a domain.
_SEARCHED = ("student", "distill", "optim", "deploy")
#: Augmentations that show an image in more ways than can be kept.
_MANY = ("cutout", "mixup", "cutmix")
#: Characters of an override that a message quotes.
_LONGEST = 200


def load_spec(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Spec:
    """The spec in a YAML file or a mapping.

    Args:
        source: A path, or the content itself.
        overrides: `key.of.the.spec=value` each, the value in YAML.

    Raises:
        SpecError: When it does not hold; it lists all problems.
        InputError: When the file can't be read.
    """
    file: str | None = None
    tree: Any = source
    lines: Mapping[Place, int] = {}
    if not isinstance(source, Mapping):
        file = str(source)
        tree, lines = read_yaml(Path(source))
    tree, lines = apply_overrides(tree, overrides), _written(lines, overrides)
    try:
        spec = Spec.model_validate(tree)
        problems = list(_cross_check(spec))
    except ValidationError as error:
        problems = [
            Problem(tuple(e["loc"]), readable(e["type"], e["msg"], e["input"]))
            for e in error.errors(include_url=False, include_context=False)
        ]
    if problems:
        raise _with_lines(problems, lines, file)
    return spec


def located(problems: Sequence[Problem], file: str | None) -> SpecError:
    """The error for problems that were found later, with the lines of the file that the spec came from."""
    return _with_lines(problems, read_yaml(Path(file))[1] if file else {}, file)


def _with_lines(problems: Sequence[Problem], lines: Mapping[Place, int], file: str | None) -> SpecError:
    return SpecError([Problem(p.key, p.message, _line(p.key, lines)) for p in problems], file)


def apply_overrides(tree: Any, overrides: Sequence[str]) -> Any:
    """`tree` with each `key.path=value` set, mappings made as needed. The tree itself is left as it is."""
    for override in overrides:
        path, equals, text = override.partition("=")
        keys = path.split(".")
        said = override if len(override) <= _LONGEST else f"{override[:_LONGEST]}…"
        if not equals or not all(keys):
            raise InputError(f"--set {said}: expected key.of.the.spec=value")
        if len(keys) > DEEPEST:
            raise InputError(f"--set {said}: the key is nested deeper than {DEEPEST} levels")
        try:
            value, _ = parse_yaml(text)
        except SpecError as error:
            raise InputError(f"--set {said}: the value is {error.problems[0].message}") from None
        tree = _set(tree, keys, value, said)
    return tree


def _set(tree: Any, keys: Sequence[str], value: Any, override: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(tree, list):
        if not key.isdigit() or int(key) >= len(tree):
            raise InputError(f"--set {override}: '{key}' is no index of a list of {len(tree)}")
        return [
            _set(inner, rest, value, override) if i == int(key) else inner for i, inner in enumerate(tree)
        ]
    if tree is not None and not isinstance(tree, Mapping):
        tree = {"name": tree} if isinstance(tree, str) else {}
    inner = (tree or {}).get(key)
    if rest and key == "data" and isinstance(inner, str):
        inner = {"source": inner}
    return {**(tree or {}), key: _set(inner, rest, value, override)}


def _line(key: Place, lines: Mapping[Place, int]) -> int | None:
    """The line of the key, or of the nearest key above it."""
    for length in range(len(key), 0, -1):
        if key[:length] in lines:
            return lines[key[:length]]
    return None


def _written(lines: Mapping[Place, int], overrides: Sequence[str]) -> Mapping[Place, int]:
    """The lines of the keys that the file still sets; 0 for those set by an override."""
    for override in overrides:
        keys = override.partition("=")[0].split(".")
        place: Place = tuple(int(key) if key.isdigit() else key for key in keys)
        lines = {key: line for key, line in lines.items() if key[: len(place)] != place} | {place: 0}
    return lines


def _cross_check(spec: Spec) -> Iterator[Problem]:
    fixed = {key: section for key, section in spec.tree().items() if key not in _SEARCHED}
    for place in _domains(fixed, ()):
        yield Problem(place, f"nothing is searched here, only in {', '.join(_SEARCHED)}")
    for place in _beyond(spec.tree(), ()):
        yield Problem(place, "whole numbers end at 64 bits")
    yield from _check_teachers(spec)
    resources = spec.measure.resources
    gpus = resources.get("GPU", 0) if resources else spec.compute.gpus_per_worker
    yield from check_deploy(spec.deploy, timed_on_gpu=gpus > 0)
    yield from check_figures(spec)
    if message := _refused(spec.compute.storage):
        yield Problem(("compute", "storage"), message)
    if spec.bank.outcomes and (many := [k for k in _MANY if getattr(spec.data.augment, k)]):
        message = f"with {many[0]} (data.augment) an image can be seen in too many ways for all to be kept"
        yield Problem(("bank", "outcomes"), message)
    if spec.data.batch_size % spec.compute.workers:
        message = f"{spec.data.batch_size} images do not divide among {spec.compute.workers} workers"
        yield Problem(("data", "batch_size"), message)


def _refused(storage: str) -> str:
    """What is wrong with a storage; '' for none."""
    scheme, mark, rest = storage.partition("://")
    if mark and scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        return f"expected a folder, or the address of a bucket ({known}); got {scheme}://"
    user, at, _ = rest.partition("?")[0].rpartition("@")
    if mark and at and user != "anonymous":
        return "it holds a key or a password; buckets take theirs from the environment"
    return ""


def _beyond(value: Any, place: Place) -> Iterator[Place]:
    """Where numbers stand that no tensor, no seed and no database could hold."""
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list | tuple):
        inner = enumerate(value)
    elif isinstance(value, Choice):
        inner = enumerate(value.options)
    elif isinstance(value, int) and beyond(value):
        yield place
    for key, part in inner:
        yield from _beyond(part, (*place, key))


def _domains(value: Any, place: Place) -> Iterator[Place]:
    if isinstance(value, Domain):
        yield place
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _domains(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _domains(inner, (*place, index))


def _check_teachers(spec: Spec) -> Iterator[Problem]:
    use = spec.distill.teachers.members
    members: Any = use
    where: Place = ("distill", "teachers", "members")
    if isinstance(members, Subset):
        items = members.items or tuple(spec.teachers)
        least = members.min
        named, where = list(items), (*where, "subset")
        if least > len(items):
            yield Problem(where, f"no subset of {len(items)} teachers has at least {least} members")
    elif isinstance(members, Choice):
        named = [name for option in members.options for name in option]
    else:
        named = list(members)
    for name in named:
        if name not in spec.teachers:
            yield Problem(where, f"unknown teacher '{name}'{nearest(name, spec.teachers)}")
    specialists = [
        name for name in dict.fromkeys(named) if name in spec.teachers and spec.teachers[name].classes
    ]
    for place, ensemble in _ensembles(spec):
        if specialists and find("ensemble", ensemble.part).facts.get("merges"):
            merged = (
                f"'{ensemble.part}' merges the outputs of all teachers, and '{specialists[0]}' has no output"
            )
            yield Problem(place, f"{merged} for some classes")
    for place, names in _weighed(spec):
        for name in names:
            if name not in spec.teachers:
                yield Problem(place, f"unknown teacher '{name}'{nearest(name, spec.teachers)}")
    for place, label, loss in spec.distill.all_losses():
        at: Place = ("distill", *place, label)
        needs = find("loss", loss.part).needs
        wants = any(need.startswith("teacher_") for need in needs)
        if wants and not spec.teachers:
            yield Problem(at, "this loss needs a teacher, and the spec names none")
        elif wants and isinstance(members, list) and not members and not _matches(loss):
            yield Problem(where, f"the loss '{label}' needs a teacher: name one, or {{subset: all}}")
        for match in _matches(loss):
            if match.teacher not in spec.teachers:
                unknown = f"unknown teacher '{match.teacher}'{nearest(match.teacher, spec.teachers)}"
                yield Problem((*at, "match", "teacher"), unknown)
        yield from _per_teacher(at, loss, named, spec.teachers)


def _matches(loss: Loss) -> list[Match]:
    """The matchings that a loss names, in all options of a choice."""
    matched = loss.matched
    if isinstance(matched, Choice):
        return [match for option in matched.options if isinstance(option, list) for match in option]
    return matched if isinstance(matched, list) else []


def _per_teacher(at: Place, loss: Loss, members: Iterable[str], teachers: Iterable[str]) -> Iterator[Problem]:
    """Values given per teacher must name every teacher that may be a member, and nothing else."""
    for key, value in loss.options.items():
        if not (isinstance(value, Mapping) and isinstance(given := value.get("per_teacher"), Mapping)):
            continue
        for name in given:
            if name not in teachers:
                unknown = f"unknown teacher '{name}'{nearest(name, teachers)}"
                yield Problem((*at, key, "per_teacher", name), unknown)
        if missing := [name for name in dict.fromkeys(members) if name not in given]:
            yield Problem((*at, key, "per_teacher"), f"no value for the teacher '{missing[0]}'")


def _ensembles(spec: Spec) -> Iterator[tuple[Place, Ensemble]]:
    where: Place = ("distill", "teachers", "combine")
    combine: Any = spec.distill.teachers.combine
    if isinstance(combine, Choice):
        yield from (((*where, "choice", i), option) for i, option in enumerate(combine.options))
    else:
        yield where, combine


def _weighed(spec: Spec) -> Iterator[tuple[Place, Iterable[str]]]:
    """The teachers that options of ensembles name, as `weights` does."""
    for place, ensemble in _ensembles(spec):
        for key, value in ensemble.options.items():
            if isinstance(value, Simplex | Mapping):
                yield (*place, key), (value.items or ()) if isinstance(value, Simplex) else value
