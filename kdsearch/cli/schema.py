"""`kdsearch schema`."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of a spec, for editors."""
    from kdsearch.spec import json_schema

    typer.echo(json.dumps(json_schema(), indent=1))
