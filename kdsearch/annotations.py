"""Types from the source of annotations, built from known names only and never evaluated as code."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Interval

from kdsearch import types

_NAMES: Mapping[str, Any] = {
    **{name: value for name, value in vars(types).items() if name[0].isupper()},
    **{t.__name__: t for t in (int, float, str, bool, list, tuple, dict)},
    "Annotated": Annotated,
    "Literal": Literal,
    "Any": Any,
    "Interval": Interval,
    "None": None,
}


def annotation(node: ast.expr | None) -> Any:
    """The type that an annotation names; `Any` for one that is missing, or names what is not known here."""
    match node:
        case None:
            return Any
        case ast.Constant(value=str(text)):
            return annotation(ast.parse(text, mode="eval").body)
    try:
        return _evaluate(node)
    except TypeError:
        return Any


def _evaluate(node: ast.expr) -> Any:
    """The type that an annotation names, built from known names only; `Any` for every other."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _NAMES.get(name, Any)
        case ast.Tuple(elts=items):
            return tuple(_evaluate(item) for item in items)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _evaluate(left) | _evaluate(right)
        case ast.Subscript(value=value, slice=inner):
            base = _evaluate(value)
            return Any if base is Any else base[_evaluate(inner)]
        case ast.Call(func=function, args=args, keywords=keywords):
            base = _evaluate(function)
            if base is Any:
                return Any
            return base(*map(_evaluate, args), **{k.arg: _evaluate(k.value) for k in keywords if k.arg})
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    return Any
