"""Taking the objectives that a spec names, each with what its signature asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

from torch import Tensor, nn

from kdsearch.errors import InputError, KdsearchError
from kdsearch.registry import Part, find, metric, parts
from kdsearch.types import Shape

Known = Literal["architecture", "timed", "predictions"]
"""What an objective follows from: the architecture alone, a clock beside it, or predictions on a split."""

_ARCHITECTURE = {"model", "shape"}
_PREDICTIONS = {"logits", "labels"}


def objectives() -> dict[str, Part]:
    """Every objective of kdsearch's own, by name."""
    return parts("objective")


def known(part: Part) -> Known:
    """What `part` follows from: as it declares, else as its arguments tell.

    Raises InputError when it asks for neither `model` and `shape` nor `logits` and `labels`.
    """
    needs = set(part.needs)
    if not needs or not (needs <= _ARCHITECTURE or needs <= _PREDICTIONS):
        raise InputError(f"objective '{part.name}' must take 'model' and 'shape', or 'logits' and 'labels'")
    guess = "architecture" if needs <= _ARCHITECTURE else "predictions"
    return cast(Known, part.facts.get("known", guess))


def measure_architecture(
    model: nn.Module,
    shape: Shape,
    names: Iterable[str],
    *,
    known: Sequence[Known] = ("architecture", "timed"),
) -> dict[str, float]:
    """Those of the objectives `names` that need no training, by metric.

    Args:
        model: Maps images[N, C, H, W] to logits[N, classes]; on the meta device only without `timed`.
        shape: Of one image: channels, height, width.
        names: Of objectives, registered or `package.module:name`; those of other kinds are passed over.
        known: The kinds to take.

    Raises:
        InputError: An objective is unknown or has other arguments.
        KdsearchError: An objective returned something that is not a number.
    """
    return _measure(names, known, {"model": model, "shape": shape})


def measure_predictions(logits: Tensor, labels: Tensor, names: Iterable[str]) -> dict[str, float]:
    """Those of the objectives `names` that follow from predictions on a split, by metric.

    Args:
        logits: [N, classes], of the whole split.
        labels: [N], class indices.
        names: As for `measure_architecture`, with the same errors.
    """
    return _measure(names, ("predictions",), {"logits": logits, "labels": labels})


def _measure(
    names: Iterable[str], kinds: Sequence[Known], supplied: Mapping[str, object]
) -> dict[str, float]:
    taken: dict[str, float] = {}
    for part in (find("objective", name) for name in names):
        if known(part) in kinds:
            value = part.load()(**{need: supplied[need] for need in part.needs})
            try:
                taken[metric(part.name)] = float(value)
            except (TypeError, ValueError, RuntimeError) as error:
                raise KdsearchError(
                    f"objective '{part.name}' must return a number, not {value!r:.60}"
                ) from error
    return taken
