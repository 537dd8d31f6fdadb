"""Types that everything else shares, with annotations for the options of parts: their valid range, and the
range worth searching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval


@dataclass(frozen=True)
class Searched:
    """The domain that the literature suggests for an option: `low` to `high`, on a `log` scale or not.

    It is shown by the tables of parts and in the documentation; a spec is free to search another range.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Scheduled:
    """Marks an option that may change over training, and, if so marked, from teacher to teacher.

    The loss is then called with the value of the moment.
    """

    per_teacher: bool = False


Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Interval(ge=0, le=1)]
Temperature = Annotated[float, Gt(0), Scheduled(per_teacher=True)]
PositiveInt = Annotated[int, Gt(0)]
NonNegativeInt = Annotated[int, Ge(0)]

#: The shape of one example as a model receives it: channels, height, width.
Shape = tuple[int, int, int]

#: Of an objective: which way is better.
Direction = Literal["maximize", "minimize"]
#: Of a trial, and of the run that stands for it.
State = Literal["running", "complete", "failed", "stopped"]
