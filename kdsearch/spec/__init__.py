"""The spec: one YAML schema for a search, and for a config with nothing left to search."""

from kdsearch.spec.bank import BankUse
from kdsearch.spec.deploy import AS_TRAINED, Deploy, asks_for_gpu, check_onnx_installed, decisive
from kdsearch.spec.domains import Choice, Domain, Float, Int, Matching, Simplex, Subset, has_domain, plain
from kdsearch.spec.figures import FigureSection, constraints_of, metrics_of
from kdsearch.spec.json_schema import json_schema
from kdsearch.spec.load import load_spec, located
from kdsearch.spec.optim import Optim, Schedule
from kdsearch.spec.recipe import Ensemble, Filter, Loss, Match, Ruled, Stage, is_matched
from kdsearch.spec.schema import Compute, Data, Model, Spec, Teacher
from kdsearch.spec.varying import shape_of
from kdsearch.spec.yaml import dump_yaml, parse_yaml, read_yaml

__all__ = [
    "AS_TRAINED",
    "BankUse",
    "Choice",
    "Compute",
    "Data",
    "Deploy",
    "Domain",
    "Ensemble",
    "FigureSection",
    "Filter",
    "Float",
    "Int",
    "Loss",
    "Match",
    "Matching",
    "Model",
    "Optim",
    "Ruled",
    "Schedule",
    "Simplex",
    "Spec",
    "Stage",
    "Subset",
    "Teacher",
    "asks_for_gpu",
    "check_onnx_installed",
    "constraints_of",
    "decisive",
    "dump_yaml",
    "has_domain",
    "is_matched",
    "json_schema",
    "load_spec",
    "located",
    "metrics_of",
    "parse_yaml",
    "plain",
    "read_yaml",
    "shape_of",
]
