"""The section of a spec on the form in which a student ships."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from kdsearch.errors import InputError, KeyPath, Problem
from kdsearch.spec.domains import Choice
from kdsearch.spec.fields import Section
from kdsearch.spec.searchable import Searchable
from kdsearch.types import PositiveInt

#: What the extra `onnx` brings.
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


class Deploy(Section):
    """The form in which a student ships, and how it is called: what is scored, weighed and timed."""

    format: Annotated[Literal["torch", "onnx"], Searchable("choice")] = Field(
        "torch", description="`torch`, or `onnx` in ONNX Runtime, which the extra `onnx` installs"
    )
    precision: Annotated[Literal["fp32", "fp16", "int8"], Searchable("choice")] = Field(
        "fp32", description="Of the weights; `int8` is quantised after training, for `onnx` only"
    )
    device: Annotated[Literal["cpu", "cuda"] | None, Searchable("choice")] = Field(
        None, description="What calls it; by default the GPU of the worker that times it, if that has one"
    )
    batch: Annotated[PositiveInt, Searchable("int", "choice")] = Field(
        1, description="Images in a call, when it is timed"
    )
    threads: Annotated[PositiveInt, Searchable("int", "choice")] = Field(
        1, description="Threads of a call on a CPU"
    )


#: What ships where a spec says nothing: the trained model itself.
AS_TRAINED: Mapping[str, Any] = Deploy().model_dump()


def decisive(form: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a form on which figures depend; none for the trained model itself.

    A device that is not named is left out: older configs had no `device`, and keep their fingerprints.
    """
    form = {**AS_TRAINED, **form}
    return {} if form == AS_TRAINED else {key: value for key, value in form.items() if value is not None}


def check_onnx_installed(what: str) -> None:
    """Raise InputError, saying how to install it, when the extra `onnx` is not here; `what` needs it."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{what} needs {', '.join(missing)}: install the extra with pip install 'kdsearch[onnx]'"
        )


def check_deploy(deploy: Deploy | Choice, *, timed_on_gpu: bool) -> Iterator[Problem]:
    """What is wrong with the section as a whole; `timed_on_gpu`, whether the worker that times has a GPU."""
    if not timed_on_gpu and (place := asks_for_gpu(deploy)):
        hint = "compute.gpus_per_worker, or measure.resources: {GPU: 1}, gives it one"
        yield Problem(place, f"'cuda': the worker that times students has no GPU; {hint}")
    for place, form in _options(("deploy",), deploy):
        formats = {value for _, value in _options((), form.format)}
        precisions = {value for _, value in _options((), form.precision)}
        if "onnx" in formats:
            try:
                check_onnx_installed("format 'onnx'")
            except InputError as error:
                yield Problem((*place, "format"), str(error))
        if "torch" in formats and "int8" in precisions:
            hint = "{choice: [{format: torch}, {format: onnx, precision: {choice: [fp32, int8]}}]}"
            yield Problem(
                (*place, "precision"), f"'int8' is for format 'onnx'; to search both write deploy: {hint}"
            )


def asks_for_gpu(deploy: Deploy | Choice, *, format: str | None = None) -> KeyPath | None:
    """Where the section asks for a GPU, for students in `format` if it is given; None where it does not."""
    for place, form in _options(("deploy",), deploy):
        if format in (None, *(value for _, value in _options((), form.format))):
            for at, device in _options((*place, "device"), form.device):
                if device == "cuda":
                    return at
    return None


def _options(place: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    """A value, or each option of a choice, with its place."""
    if isinstance(value, Choice):
        for index, option in enumerate(value.options):
            yield from _options((*place, "choice", index), option)
    else:
        yield place, value
