"""The space that a spec spans: its dimensions, configs drawn from it, and their canonical form."""

from kdsearch.space.canonical import canonical, digest, fingerprint
from kdsearch.space.corners import corners
from kdsearch.space.dimensions import Dimension, dimensions
from kdsearch.space.losses import all_losses, map_losses
from kdsearch.space.recipe import config_yaml, describe, describe_form, describe_model
from kdsearch.space.reuse import body, reusing
from kdsearch.space.sample import RandomTrial, Suggest, sample
from kdsearch.space.twin import without_teachers

__all__ = [
    "Dimension",
    "RandomTrial",
    "Suggest",
    "all_losses",
    "body",
    "canonical",
    "config_yaml",
    "corners",
    "describe",
    "describe_form",
    "describe_model",
    "digest",
    "dimensions",
    "fingerprint",
    "map_losses",
    "reusing",
    "sample",
    "without_teachers",
]
