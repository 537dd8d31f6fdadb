"""The JSON Schema of a spec, for editors."""

from __future__ import annotations

from typing import Any

from kdsearch.spec.schema import Spec
from kdsearch.spec.searchable import JSON_SCHEMAS


def json_schema() -> dict[str, Any]:
    """The schema, with each kind of domain written once and referred to by name."""
    schema: dict[str, Any] = _refer(Spec.model_json_schema())
    schema["$defs"] = schema.get("$defs", {}) | JSON_SCHEMAS
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _refer(value: Any) -> Any:
    if isinstance(value, dict):
        for name, domain in JSON_SCHEMAS.items():
            if value == domain:
                return {"$ref": f"#/$defs/{name}"}
        return {key: _refer(inner) for key, inner in value.items()}
    return [_refer(inner) for inner in value] if isinstance(value, list) else value
