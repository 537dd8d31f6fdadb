"""The spec: one YAML schema for a search, and for a config with nothing left to search."""

from kdsearch.spec.domains import Choice, Domain, Float, Int, Matching, Simplex, Subset, has_domain, plain
from kdsearch.spec.json_schema import json_schema
from kdsearch.spec.load import load_spec, located
from kdsearch.spec.schema import (
    Compute,
    Data,
    Ensemble,
    Loss,
    Match,
    Model,
    Optim,
    Schedule,
    Spec,
    Teacher,
    is_matched,
)
from kdsearch.spec.yaml import dump_yaml, parse_yaml, read_yaml

__all__ = [
    "Choice",
    "Compute",
    "Data",
    "Domain",
    "Ensemble",
    "Float",
    "Int",
    "Loss",
    "Match",
    "Matching",
    "Model",
    "Optim",
    "Schedule",
    "Simplex",
    "Spec",
    "Subset",
    "Teacher",
    "dump_yaml",
    "has_domain",
    "is_matched",
    "json_schema",
    "load_spec",
    "located",
    "parse_yaml",
    "plain",
    "read_yaml",
]
