"""The section of a spec on the teacher bank."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from kdsearch.spec.fields import Section
from kdsearch.types import NonNegativeInt, PositiveInt


def _whole(value: object) -> object:
    """`20e9` as the whole number that it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Bytes = Annotated[NonNegativeInt, BeforeValidator(_whole)]


class BankUse(Section):
    """How teachers' outputs are kept for other trials."""

    enabled: bool = Field(True, description="Keep them, and read what is kept")
    dtype: Literal["fp16", "fp32"] = Field("fp16", description="Type in which they are kept and used")
    topk: PositiveInt | None = Field(
        None, description="Logits to keep of each image, with the mass of the rest; by default all"
    )
    outcomes: bool | None = Field(
        None,
        description="Keep logits for all ways in which crops and flips can show an image, whatever the seed; "
        "by default in fp16, where there are no more of them than epochs",
    )
    bytes: Bytes = Field(20 * 10**9, description="Most bytes kept in the storage folder")
    device_bytes: Bytes = Field(2 * 10**9, description="Most bytes kept in the memory of a GPU")
