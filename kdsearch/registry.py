"""The registry of parts: what can be named in a spec, and which options each part takes.

A part is one function or class under the `register` decorator, in a module of its kind's package. Its
name, options, defaults and documentation are read from its *source*, not by importing it: a spec can be
validated, and every table printed, without importing torch and without running anyone's code. `Part.load`
imports the module when the part is really needed.

A name of the form `package.module:name` reaches a part of the user's own, with no registration at all.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from kdsearch import types
from kdsearch.annotations import annotation
from kdsearch.errors import InputError, nearest
from kdsearch.modules import is_installed, located

Target = TypeVar("Target", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kind:
    """A kind of part: the package that holds its modules, and the arguments that kdsearch supplies itself.

    Whatever else a part's signature names is an option, set from a spec.
    """

    package: str
    supplied: frozenset[str]


def _kind(package: str, supplied: str) -> Kind:
    return Kind(package, frozenset(supplied.split()))


KINDS: Mapping[str, Kind] = {
    "model": _kind("kdsearch.models", "shape classes name num_classes in_channels"),
    "dataset": _kind("kdsearch.data.sources", ""),
    "loss": _kind(
        "kdsearch.distill.losses",
        "student_logits teacher_logits labels images indices progress examples classes "
        "student_feature teacher_feature student_shape teacher_shape "
        "student_features teacher_features student_shapes teacher_shapes "
        "student_image_gradient teacher_image_gradient",
    ),
    "ensemble": _kind(
        "kdsearch.distill.ensembles", "logits student_logits labels members classes temperature"
    ),
    "optimizer": _kind("kdsearch.distill.optimizers", "params"),
    "schedule": _kind("kdsearch.distill.schedules", "progress"),
    "objective": _kind(
        "kdsearch.measure",
        "model shape architecture deploy logits labels classes teacher_logits members predict images",
    ),
    "sampler": _kind("kdsearch.tune.samplers", "seed"),
}


def register(kind: str, **facts: object) -> Callable[[Target], Target]:
    """Mark a function or class as a part of `kind`.

    Args:
        kind: One of `KINDS`.
        facts: Literals to be read by the tables: `name` (default: the name of the target), `paper`,
            `family`, `prefix` (the part answers to every name `prefix:…`), and what a kind asks for.
    """
    if kind not in KINDS:
        raise InputError(f"unknown kind of part '{kind}'{nearest(kind, KINDS)}")
    return lambda target: target


@dataclass(frozen=True)
class Parameter:
    """One option of a part. `required` when it has no default."""

    name: str
    annotation: Any
    default: Any
    required: bool
    doc: str

    @property
    def searched(self) -> types.Searched | None:
        """The domain that the literature suggests, if the annotation carries one."""
        return next((m for m in self._metadata if isinstance(m, types.Searched)), None)

    @property
    def scheduled(self) -> types.Scheduled | None:
        """Whether, and how, the option may change while a student trains."""
        return next((m for m in self._metadata if isinstance(m, types.Scheduled)), None)

    @property
    def _metadata(self) -> tuple[object, ...]:
        return getattr(self.annotation, "__metadata__", ())


@dataclass(frozen=True)
class Part:
    """What is known of a part from its source alone."""

    kind: str
    name: str
    module: str
    target: str
    summary: str
    needs: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    facts: Mapping[str, Any]
    open: bool = False
    """Whether it takes options beyond those it names (`**options`), which are then passed on unchecked."""

    def load(self) -> Callable[..., Any]:
        """Import the part.

        Raises:
            InputError: When its module, or the name in it, is not there.
        """
        try:
            target: Callable[..., Any] = getattr(importlib.import_module(self.module), self.target)
        except Exception as error:  # a user's module may raise anything while it is imported
            reason = error if isinstance(error, ImportError | AttributeError) else repr(error)
            raise InputError(f"{self.kind} '{self.name}' cannot be imported: {reason}") from error
        if prefix := self.facts.get("prefix"):
            return partial(target, name=self.name.removeprefix(f"{prefix}:"))
        return target

    def build(self, supply: Mapping[str, object], options: Mapping[str, object]) -> Any:
        """Call the part with its `options`, and with what its signature asks for of `supply`."""
        target = self.load()
        asked = inspect.signature(target).parameters
        return target(**{name: value for name, value in supply.items() if name in asked} | dict(options))


def parts(kind: str) -> dict[str, Part]:
    """Every registered part of `kind`, by name; parts that answer to a prefix stand under `prefix:`."""
    return dict(_registered(kind))


def find(kind: str, name: str) -> Part:
    """The part of `kind` called `name`.

    Raises:
        InputError: When there is none; it names the nearest one.
    """
    known = _registered(kind)
    if name in known and not name.endswith(":"):
        return known[name]
    prefix, colon, rest = name.partition(":")
    if colon and f"{prefix}:" in known and rest:
        found = known[f"{prefix}:"]
        if importlib.util.find_spec(prefix) is None:
            raise InputError(f"{kind} '{name}' needs the package '{prefix}', which is not installed")
        return Part(**{**vars(found), "name": name})
    if colon and rest:
        return _from_user(kind, name, prefix, rest)
    raise InputError(f"unknown {kind} '{name}'{nearest(name, known)}")


def metric(name: str) -> str:
    """The key of an objective among results: its name, or what follows the colon of a user's own."""
    return name.rpartition(":")[2]


@cache
def _registered(kind: str) -> Mapping[str, Part]:
    package = KINDS[kind].package
    place = Path(__file__).parent.joinpath(*package.split(".")[1:])
    found: dict[str, Part] = {}
    for path in sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]:
        module = f"{package}.{path.stem}" if place.is_dir() else package
        for node, facts in _marked(ast.parse(path.read_text(encoding="utf-8")), kind):
            prefix = facts.get("prefix")
            name = f"{prefix}:" if prefix else str(facts.get("name", node.name))
            found[name] = _describe(kind, name, module, node, facts)
    return found


def _from_user(kind: str, name: str, module: str, target: str) -> Part:
    if (spec := located(module)) is None:
        raise InputError(f"{kind} '{name}': there is no module '{module}' on the Python path")
    installed = is_installed(spec.origin)
    foreign = InputError(
        f"{kind} '{name}': '{module}' is installed, and does not offer '{target}' as a {kind}: no spec may "
        f'call whatever is there. Mark it with @register("{kind}"), or wrap it in a module of your own'
    )
    if not spec.origin or not spec.origin.endswith(".py"):
        if installed:
            raise foreign
        return Part(kind, name, module, target, "", (), {}, {}, open=True)
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{kind} '{name}': '{module}' is not Python: {error}") from None
    definitions = {node.name: node for node in tree.body if isinstance(node, _Definition)}
    if target not in definitions:
        public = [known for known in definitions if not known.startswith("_")]
        raise InputError(f"{kind} '{name}': '{module}' defines no '{target}'{nearest(target, public)}")
    node = definitions[target]
    facts = next((facts for marked, facts in _marked(tree, kind) if marked is node), None)
    if facts is None and installed:
        raise foreign
    facts = facts or {}
    return _describe(kind, name, module, node, facts)


_Definition = ast.FunctionDef | ast.ClassDef


def _marked(tree: ast.Module, kind: str) -> Iterator[tuple[_Definition, dict[str, Any]]]:
    for node in tree.body:
        if not isinstance(node, _Definition):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "register":
                first = call.args[0] if call.args else None
                if isinstance(first, ast.Constant) and first.value == kind:
                    yield node, {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}


def _describe(kind: str, name: str, module: str, node: _Definition, facts: dict[str, Any]) -> Part:
    doc = ast.get_docstring(node) or ""
    methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
    constructor = node if isinstance(node, ast.FunctionDef) else methods.get("__init__")
    called = node if isinstance(node, ast.FunctionDef) else methods.get("forward", methods.get("__call__"))
    supplied = KINDS[kind].supplied
    docs = _argument_docs(doc) | _argument_docs((constructor and ast.get_docstring(constructor)) or "")
    needs = [argument.arg for argument in _arguments(called) if argument.arg in supplied]
    return Part(
        kind=kind,
        name=name,
        module=module,
        target=node.name,
        summary=doc.split("\n\n")[0].replace("\n", " "),
        needs=tuple(needs),
        parameters={p.name: p for p in _parameters(constructor, docs) if p.name not in supplied},
        facts=facts,
        open=constructor is not None and constructor.args.kwarg is not None,
    )


def _arguments(function: ast.FunctionDef | None) -> list[ast.arg]:
    if function is None:
        return []
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [a for a in arguments if a.arg not in ("self", "cls")]


def _parameters(function: ast.FunctionDef | None, docs: Mapping[str, str]) -> Iterator[Parameter]:
    if function is None:
        return
    positional = [*function.args.posonlyargs, *function.args.args]
    defaults: dict[str, ast.expr] = {}
    if function.args.defaults:
        last = positional[-len(function.args.defaults) :]
        defaults = {a.arg: d for a, d in zip(last, function.args.defaults, strict=True)}
    keyword_only = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    defaults |= {a.arg: d for a, d in keyword_only if d is not None}
    for argument in _arguments(function):
        default = defaults.get(argument.arg)
        try:
            value = ast.literal_eval(default) if default is not None else None
        except ValueError:
            continue  # a default that is no literal, as a class: the part keeps it, and no spec can set it
        yield Parameter(
            name=argument.arg,
            annotation=annotation(argument.annotation),
            default=value,
            required=default is None,
            doc=docs.get(argument.arg, ""),
        )


def _argument_docs(doc: str) -> dict[str, str]:
    """The `Args:` section of a Google-style docstring, by argument."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)+)", doc, re.MULTILINE)
    if section is None:
        return {}
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", section.group(1), re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in entries}
