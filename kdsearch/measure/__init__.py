"""What a student costs and what it is worth: one objective a file, found by name in the registry."""

from __future__ import annotations

from kdsearch.measure._measure import measure_architecture, measure_predictions, measure_trained
from kdsearch.measure._table import enter
from kdsearch.measure.alone import measure_alone
from kdsearch.measure.deployment import Deployment, deployment_of, device_of
from kdsearch.measure.device import conditions, device_name
from kdsearch.measure.figure import ALWAYS, Basis, Figure, basis_of, figure, figures_of
from kdsearch.measure.per_class import class_accuracies
from kdsearch.measure.rehearse import rehearse
from kdsearch.measure.timing import Latency, time_forward, time_stream
from kdsearch.measure.timings import Timings

__all__ = [
    "ALWAYS",
    "Basis",
    "Deployment",
    "Figure",
    "Latency",
    "Timings",
    "basis_of",
    "class_accuracies",
    "conditions",
    "deployment_of",
    "device_name",
    "device_of",
    "enter",
    "figure",
    "figures_of",
    "measure_alone",
    "measure_architecture",
    "measure_predictions",
    "measure_trained",
    "rehearse",
    "time_forward",
    "time_stream",
]
