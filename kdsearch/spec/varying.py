"""Values that change while a student trains, or that differ from teacher to teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from kdsearch.errors import nearest
from kdsearch.spec.problems import problems, shown
from kdsearch.spec.searchable import JsonSchema, Searchable, each

#: How a value goes from one end to the other; a constant has one end.
SHAPES = ("constant", "linear", "cosine")
_KEYS = (*SHAPES, "until")


def shape_of(value: object) -> str | None:
    """The key that makes a mapping a schedule, or None when `value` is none."""
    if not isinstance(value, Mapping):
        return None
    keys = [key for key in SHAPES if key in value]
    return keys[0] if len(keys) == 1 else None


class Varying:
    """Marks a field whose value may be a schedule, as `{linear: [1.0, 0.1], until: 0.7}`.

    The ends, and `until`, may be domains. With `per_teacher` it may also be a mapping `per_teacher`, with a
    value or a schedule for each.
    """

    def __init__(self, *, per_teacher: bool = False) -> None:
        self.per_teacher = per_teacher

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        scalar = handler(schema)
        end: JsonSchema = {"anyOf": [scalar, {"type": "object"}]}
        ends: JsonSchema = {"type": "array", "items": end, "minItems": 2, "maxItems": 2}
        properties = {"constant": end, "linear": ends, "cosine": ends, "until": {}}
        forms: list[JsonSchema] = [scalar, _mapping(properties)]
        if self.per_teacher:
            forms.append(_mapping({"per_teacher": {"type": "object"}}))
        return {"anyOf": forms}

    def _validate(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if self.per_teacher and isinstance(value, Mapping) and "per_teacher" in value:
            return self._by_teacher(value, handler)
        shape = shape_of(value)
        if shape is None:
            return handler(value)
        if extra := [key for key in value if key not in _KEYS]:
            key = extra[0]
            raise problems([((key,), f"unknown key '{key}'{nearest(key, _KEYS)}", value[key])])
        ends = value[shape]
        if shape == "constant":
            (ends,) = each([((shape,), ends)], _searchable(handler))
        else:
            if not (isinstance(ends, list | tuple) and len(ends) == 2):
                raise problems([((shape,), f"expected [start, end], got {shown(ends)}", ends)])
            ends = each((((shape, i), end) for i, end in enumerate(ends)), _searchable(handler))
        (until,) = each([(("until",), value.get("until", 1.0))], _searchable(_share))
        return {shape: ends, "until": until}

    def _by_teacher(self, value: Mapping[str, Any], handler: Callable[[Any], Any]) -> Any:
        given = value["per_teacher"]
        if len(value) > 1 or not isinstance(given, Mapping) or not given:
            expected = "expected per_teacher: {TEACHER: value, …} and no other key"
            raise problems([(("per_teacher",), f"{expected}, got {shown(value)}", value)])
        inner = _searchable(lambda item: Varying()._validate(item, handler))
        values = each(((("per_teacher", name), item) for name, item in given.items()), inner)
        return {"per_teacher": dict(zip(given, values, strict=True))}


def _searchable(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: Searchable().validate(value, handler)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise problems([((), f"expected a share of training above 0, at most 1, got {shown(value)}", value)])
    return float(value)


def _mapping(properties: Mapping[str, JsonSchema]) -> JsonSchema:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}
