"""Building blocks of the schema: sections, and parts named in a registry."""

from __future__ import annotations

import types as builtin_types
from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Union, cast, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from kdsearch.errors import InputError, nearest
from kdsearch.registry import Parameter, Part, find, parts
from kdsearch.spec.problems import problem, problems, shown
from kdsearch.spec.searchable import JsonSchema, Searchable
from kdsearch.spec.varying import Varying


class Section(BaseModel):
    """A mapping of a spec. Unknown keys are refused with the nearest valid one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise problem(f"expected a mapping, got {shown(value)}")
        unknown = [key for key in value if key not in cls.model_fields]
        if unknown and cls.model_config.get("extra") != "allow":
            raise problems(
                ((key,), f"unknown key '{key}'{nearest(key, cls.model_fields)}", value[key])
                for key in unknown
            )
        return value


class PartSection(Section):
    """A part chosen by name, with its options beside the keys that all parts of its kind share."""

    kind: ClassVar[str]
    tag: ClassVar[str] = "name"
    own: ClassVar[frozenset[str]] = frozenset()

    @property
    def part(self) -> str:
        """The name of the part."""
        return str(getattr(self, self.tag))

    @property
    def options(self) -> dict[str, Any]:
        """The part's own options, without the keys shared by its kind."""
        extra = self.__pydantic_extra__ or {}
        return {name: getattr(self, name) for name in self.own if name != self.tag} | extra

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if cls.own:
            return handler(source)
        return core_schema.no_info_plain_validator_function(cls.parse)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        if cls.own:
            return handler(schema)
        known = parts(cls.kind)
        models = [cls._model(part) for name, part in known.items() if name[-1] != ":"]
        schemas = [handler(model.__pydantic_core_schema__) for model in models]
        free = {
            "type": "object",
            "properties": {cls.tag: {"type": "string", "pattern": ":"}},
            "required": [cls.tag],
        }
        names: JsonSchema = {"enum": [name for name in known if name[-1] != ":"]}
        return {"anyOf": [names, *schemas, free]}

    @classmethod
    def parse(cls, value: Any) -> Any:
        """The section of the part that `value` names, alone or in a mapping with its options.

        Raises:
            ValidationError: When there is no such part, or it does not take these options.
        """
        if isinstance(value, str):
            value = {cls.tag: value}
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise problem(
                f"expected the name of {_article(cls.kind)} or a mapping with '{cls.tag}', got {shown(value)}"
            )
        name = value.get(cls.tag)
        if not isinstance(name, str):
            default = cls.model_fields[cls.tag].get_default()
            if name is not None or not default:
                raise problems([((cls.tag,), f"expected the name of {_article(cls.kind)}", name)])
            name = default
        try:
            part = find(cls.kind, name)
        except InputError as error:
            raise problems([((cls.tag,), str(error), name)]) from None
        return cls._model(part).model_validate(dict(value))

    @classmethod
    def _model(cls, part: Part) -> type[PartSection]:
        return _part_model(cls, part.kind, part.name)

    @classmethod
    def extra_fields(cls, part: Part) -> dict[str, Any]:
        """Keys that only some parts of the kind have, as `create_model` takes them."""
        return {}


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def or_nothing(schema: dict[str, Any]) -> None:
    """Let the JSON `schema` of a mapping take a key alone, as in `ce:`: it is the part of that name."""
    schema["additionalProperties"] = {"anyOf": [schema["additionalProperties"], {"type": "null"}]}


@cache
def _part_model(base: type[PartSection], kind: str, name: str) -> type[PartSection]:
    part = find(kind, name)
    fields = {key: _field(parameter) for key, parameter in part.parameters.items()}
    fields |= base.extra_fields(part)
    fields[base.tag] = (str, Field(default=name, json_schema_extra={"const": name}))
    config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False) if part.open else None
    own = frozenset(part.parameters) | {base.tag}
    space = {"own": own, "__module__": __name__, "__annotations__": {"own": ClassVar[frozenset[str]]}}
    parent = type(base.__name__, (base,), space | ({"model_config": config} if config else {}))
    model: Any = create_model(part.target, __base__=parent, **fields)  # type: ignore[call-overload]
    return cast(type[PartSection], model)


def _field(parameter: Parameter) -> tuple[Any, Any]:
    kind: Any = _strict(parameter.annotation)
    if parameter.scheduled is not None:
        kind = Annotated[kind, Varying(per_teacher=parameter.scheduled.per_teacher)]
    kind = Annotated[kind, Searchable()]
    default = ... if parameter.required else parameter.default
    return kind, Field(default=default, description=parameter.doc or None)


def _strict(annotation: Any) -> Any:
    """The same type without pydantic's coercions of scalars, so that `true` is no number and '3' no int."""
    if annotation in (int, float, bool, str):
        return Annotated[annotation, Strict()]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Annotated[(_strict(args[0]), *args[1:])]
    if origin in (Union, builtin_types.UnionType):
        return reduce(or_, map(_strict, args))
    if origin is tuple:
        items: Any = tuple.__class_getitem__(tuple(a if a is ... else _strict(a) for a in args))
        return Annotated[(items, Strict(False))]
    if origin in (list, dict):
        return origin[tuple(map(_strict, args))]
    return annotation
