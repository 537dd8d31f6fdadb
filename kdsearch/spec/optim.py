"""The section of a spec on optimisation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kdsearch.spec.fields import PartSection
from kdsearch.spec.searchable import Searchable
from kdsearch.types import Fraction, NonNegative, PositiveInt


class Schedule(PartSection):
    """How the learning rate goes over the epochs."""

    kind: ClassVar[str] = "schedule"
    name: str = "cosine"


class Optim(PartSection):
    """The optimiser, its schedule, and for how long."""

    kind: ClassVar[str] = "optimizer"
    name: str = "sgd"
    epochs: Annotated[PositiveInt, Searchable()] = Field(30, description="Passes over the training images")
    schedule: Annotated[Schedule, Searchable()] = Field(
        default_factory=lambda: Schedule.parse("cosine"), description="Of the learning rate"
    )
    warmup: Annotated[Fraction, Searchable()] = Field(
        0.0, description="Share of the steps over which the learning rate rises linearly"
    )
    clip: Annotated[NonNegative, Searchable()] = Field(0.0, description="Largest gradient norm; 0 for none")
    accumulate: Annotated[PositiveInt, Searchable()] = Field(1, description="Batches to a step")
    precision: Annotated[Literal["fp32", "bf16"], Searchable()] = Field(
        "fp32", description="Of the forward pass"
    )
