"""Optuna's samplers, seeded and set up for several objectives, constraints and conditional spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdsearch.registry import register
from kdsearch.types import NonNegativeInt, PositiveInt

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@register("sampler", paper="Ozaki et al. (2022)")
def tpe(seed: int, *, startup: NonNegativeInt = 10, multivariate: bool = True) -> BaseSampler:
    """Tree-structured Parzen estimators: good and bad recipes each have a density; draw where they differ.

    Args:
        startup: Random configs before the first model.
        multivariate: Model parameters together, within each branch of a conditional space.
    """
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, n_startup_trials=startup, multivariate=multivariate, group=multivariate)


@register("sampler", paper="Deb et al. (2002)")
def nsga2(seed: int, *, population: PositiveInt = 20) -> BaseSampler:
    """A genetic algorithm that sorts by domination, then by crowding.

    Args:
        population: Configs in a generation.
    """
    from kdsearch.tune.genetic import NSGAIISampler

    return NSGAIISampler(seed=seed, population_size=population)


@register("sampler", paper="Deb & Jain (2014)")
def nsga3(seed: int, *, population: PositiveInt = 20) -> BaseSampler:
    """A genetic algorithm that spreads over reference directions: for four objectives and more.

    Args:
        population: Configs in a generation.
    """
    from kdsearch.tune.genetic import NSGAIIISampler

    return NSGAIIISampler(seed=seed, population_size=population)


@register("sampler", paper="Daulton, Balandat & Bakshy (2020)")
def gp(seed: int, *, startup: NonNegativeInt = 10) -> BaseSampler:
    """Gaussian processes with expected hypervolume improvement: for few, costly trials.

    Args:
        startup: Random configs before the first model.
    """
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed, n_startup_trials=startup)


@register("sampler")
def random(seed: int) -> BaseSampler:
    """Independent random draws."""
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)
