"""Fields whose value may be a domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from kdsearch.errors import KeyPath, nearest
from kdsearch.spec.domains import (
    KEYS,
    STRATEGIES,
    Choice,
    Domain,
    Float,
    Int,
    Matching,
    Simplex,
    Subset,
    domain_key,
)
from kdsearch.spec.problems import beyond, problem, problems, readable, shown

JsonSchema = dict[str, Any]

#: More pairs than any network has hintable layers; each is two dimensions of its own.
_MOST_PAIRS = 64


class Searchable:
    """Marks a field whose value may be a domain: both ends of a range, and every option, must be valid."""

    def __init__(self, *domains: str) -> None:
        self.domains = domains or ("float", "int", "choice", "simplex")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self.validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {"anyOf": [handler(schema), *(JSON_SCHEMAS[name] for name in self.domains)]}

    def validate(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        """The domain that `value` is, its ends or options valid; or what `handler` makes of a constant."""
        if isinstance(value, Domain):
            return value
        key = domain_key(value)
        if key is None:
            return handler(value)
        if key not in self.domains:
            raise problem(f"a '{key}' domain is not allowed here; expected one of: {', '.join(self.domains)}")
        extra = set(value) - {key} - KEYS[key]
        if extra:
            name = min(extra, key=str)
            raise problems(
                [((name,), f"unknown key '{name}'{nearest(name, {key, *KEYS[key]})}", value[name])]
            )
        # Options may be domains themselves, except teachers: a subset already is a choice of their subsets.
        nests = key == "choice" and "subset" not in self.domains
        return _PARSERS[key](value, partial(self.validate, handler=handler) if nests else handler)


def _parse_range(value: Mapping[str, Any], handler: Callable[[Any], Any]) -> Domain:
    key = "float" if "float" in value else "int"
    bounds, number = value[key], (int, float) if key == "float" else (int,)
    whole = "numbers" if key == "float" else "integers"
    if not (isinstance(bounds, list | tuple) and len(bounds) == 2 and all(_is(b, number) for b in bounds)):
        raise problems([((key,), f"expected two {whole} [low, high], got {shown(bounds)}", bounds)])
    low, high = bounds
    log, step = value.get("log", False), value.get("step")
    if not isinstance(log, bool):
        raise problems([(("log",), f"expected true or false, got {shown(log)}", log)])
    if not low < high:
        raise problems([((key,), f"the range [{low}, {high}] is empty: low must be below high", bounds)])
    if log and low <= 0:
        raise problems([((key,), f"a log range must lie above 0, got [{low}, {high}]", bounds)])
    if step is not None and (not _is(step, number) or step <= 0 or log):
        why = "cannot be combined with log" if log else f"must be positive, in {whole}"
        raise problems([(("step",), f"step {why}, got {shown(step)}", step)])
    each((((key, i), bound) for i, bound in enumerate(bounds)), handler)
    if key == "float":
        return Float(float(low), float(high), log, None if step is None else float(step))
    return Int(low, high, log, 1 if step is None else step)


def _parse_choice(value: Mapping[str, Any], handler: Callable[[Any], Any]) -> Choice:
    options = value["choice"]
    if not isinstance(options, list | tuple) or not options:
        raise problems([(("choice",), f"expected a list of options, got {shown(options)}", options)])
    return Choice(tuple(each(((("choice", i), option) for i, option in enumerate(options)), handler)))


def _parse_subset(value: Mapping[str, Any], handler: Callable[[Any], Any]) -> Subset:
    items, least, most = value["subset"], value.get("min", 0), value.get("max")
    if items != "all":
        if not isinstance(items, list | tuple) or not items:
            raise problems([(("subset",), f"expected 'all' or a list of names, got {shown(items)}", items)])
        each([(("subset",), list(items))], handler)
    for name, bound in (("min", least), ("max", 0 if most is None else most)):
        if not (_is(bound, (int,)) and bound >= 0):
            raise problems([((name,), f"expected an integer of at least 0, got {shown(bound)}", bound)])
    if (most is not None and least > most) or (items != "all" and least > len(items)):
        raise problems([(("min",), f"no subset has at least {least} members here", least)])
    return Subset(None if items == "all" else tuple(items), least, most)


def _parse_simplex(value: Mapping[str, Any], handler: Callable[[Any], Any]) -> Simplex:
    items = value["simplex"]
    if items != "all" and not (isinstance(items, list | tuple) and items):
        raise problems([(("simplex",), f"expected 'all' or a list of names, got {shown(items)}", items)])
    names = ["any"] if items == "all" else items
    if not all(isinstance(name, str) for name in names):
        raise problems([(("simplex",), f"expected 'all' or a list of names, got {shown(items)}", items)])
    try:
        handler(dict.fromkeys(names, 1.0))
    except ValidationError:
        raise problem("a 'simplex' domain is not allowed here: it draws a mapping of weights") from None
    return Simplex(None if items == "all" else tuple(items))


def _parse_matching(value: Mapping[str, Any], handler: Callable[[Any], Any]) -> Matching:
    bounds: dict[str, Any] = {"min_pairs": 0, "max_pairs": 1}
    given = value["matching"]
    if not isinstance(given, Mapping):
        raise problems(
            [(("matching",), f"expected a mapping such as {{max_pairs: 2}}, got {shown(given)}", given)]
        )
    keys = (*bounds, "strategies")
    for name, bound in given.items():
        if name not in keys:
            raise problems([(("matching", name), f"unknown key '{name}'{nearest(name, keys)}", bound)])
        if name == "strategies":
            bound = _strategies(bound)
        elif not (_is(bound, (int,)) and bound >= 0):
            raise problems(
                [(("matching", name), f"expected an integer of at least 0, got {shown(bound)}", bound)]
            )
        bounds[name] = bound
    if not max(1, bounds["min_pairs"]) <= bounds["max_pairs"] <= _MOST_PAIRS:
        expected = f"{max(1, bounds['min_pairs'])} to {_MOST_PAIRS}"
        raise problems(
            [(("matching",), f"expected max_pairs from {expected}, got {bounds['max_pairs']}", given)]
        )
    return Matching(**bounds)


def _strategies(given: Any) -> tuple[str, ...]:
    place: KeyPath = ("matching", "strategies")
    if not isinstance(given, list | tuple) or not given:
        raise problems([(place, f"expected a list of {', '.join(STRATEGIES)}, got {shown(given)}", given)])
    for index, name in enumerate(given):
        if name not in STRATEGIES or name in given[:index]:
            why = "named twice" if name in STRATEGIES else "unknown"
            message = f"strategy '{name}' is {why}{'' if name in STRATEGIES else nearest(name, STRATEGIES)}"
            raise problems([((*place, index), message, name)])
    return tuple(given)


_PARSERS: Mapping[str, Callable[[Mapping[str, Any], Callable[[Any], Any]], Domain]] = {
    "float": _parse_range,
    "int": _parse_range,
    "choice": _parse_choice,
    "subset": _parse_subset,
    "simplex": _parse_simplex,
    "matching": _parse_matching,
}


def _domain_schema(key: str, content: JsonSchema, **more: JsonSchema) -> JsonSchema:
    return {
        "type": "object",
        "properties": {key: content, **more},
        "required": [key],
        "additionalProperties": False,
    }


def _pair(kind: str) -> JsonSchema:
    return {"type": "array", "items": {"type": kind}, "minItems": 2, "maxItems": 2}


_LOG: JsonSchema = {"type": "boolean"}
_COUNT: JsonSchema = {"type": "integer", "minimum": 0}
JSON_SCHEMAS: Mapping[str, JsonSchema] = {
    "float": _domain_schema("float", _pair("number"), log=_LOG, step={"type": "number"}),
    "int": _domain_schema("int", _pair("integer"), log=_LOG, step={"type": "integer"}),
    "choice": _domain_schema("choice", {"type": "array", "minItems": 1}),
    "simplex": _domain_schema("simplex", {"anyOf": [{"const": "all"}, {"type": "array"}]}),
    "subset": _domain_schema(
        "subset", {"anyOf": [{"const": "all"}, {"type": "array"}]}, min=_COUNT, max=_COUNT
    ),
    "matching": _domain_schema(
        "matching",
        {
            "type": "object",
            "properties": {
                "max_pairs": _COUNT,
                "min_pairs": _COUNT,
                "strategies": {"type": "array", "items": {"enum": list(STRATEGIES)}},
            },
        },
    ),
}


def _is(value: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool) or (isinstance(value, int) and beyond(value)):
        return False
    return isinstance(value, kinds)


def each(values: Iterable[tuple[KeyPath, Any]], handler: Callable[[Any], Any]) -> list[Any]:
    """Validate each value, gathering the errors of all under the given places."""
    valid, errors = [], []
    for place, value in values:
        try:
            valid.append(handler(value))
        except ValidationError as error:
            for e in error.errors(include_url=False, include_context=False):
                errors.append(
                    (place + tuple(e["loc"]), readable(e["type"], e["msg"], e["input"]), e["input"])
                )
    if errors:
        raise problems(errors)
    return valid
