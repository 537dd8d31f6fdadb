"""Taking figures, each with what its signature asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from kdsearch.errors import KdsearchError
from kdsearch.measure.figure import Basis, Figure
from kdsearch.types import Shape


def measure_architecture(
    model: nn.Module,
    shape: Shape,
    figures: Iterable[Figure],
    *,
    architecture: Mapping[str, Any] | None = None,
    deploy: Mapping[str, Any] | None = None,
    bases: Sequence[Basis] = ("architecture", "timed"),
) -> dict[str, float]:
    """Those of the figures that need no training, by metric.

    Args:
        model: Maps images (N, C, H, W) to logits (N, classes); on the meta device only without `timed`.
        shape: Of one image: channels, height, width.
        figures: Those that follow from anything else are ignored.
        architecture: The name of the model and its options, for figures that are looked up by it.
        deploy: The form in which it ships, for the same figures.
        bases: Those to take follow from one of these.

    Raises:
        KdsearchError: An objective returned something that is not a number, or cannot be taken here.
    """
    given = {"model": model, "shape": shape, "architecture": architecture, "deploy": deploy}
    return _measure(figures, bases, given)


def measure_predictions(
    logits: Tensor,
    labels: Tensor,
    figures: Iterable[Figure],
    *,
    classes: Sequence[str] = (),
    teacher_logits: Mapping[str, Tensor] | None = None,
    members: Sequence[str] = (),
) -> dict[str, float]:
    """Those of the figures that follow from predictions on a split, by metric.

    Args:
        logits: (N, classes), of the whole split.
        labels: (N,), class indices.
        figures: As for `measure_architecture`, with the same errors.
        classes: Their names.
        teacher_logits: (N, classes) on the same images, by teacher.
        members: The teachers that the student learned from.
    """
    given = {"classes": tuple(classes), "teacher_logits": teacher_logits or {}, "members": tuple(members)}
    return _measure(figures, ("predictions",), {"logits": logits, "labels": labels, **given})


def measure_trained(
    predict: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    figures: Iterable[Figure],
    *,
    classes: Sequence[str] = (),
) -> dict[str, float]:
    """Those of the figures that ask the trained student about images of their own making, by metric.

    Args:
        predict: Maps images (n, C, H, W) uint8 to logits (n, classes).
        images: (N, C, H, W) uint8, of the whole split.
        labels: (N,), class indices.
        figures: As for `measure_architecture`, with the same errors.
        classes: Their names.
    """
    given = {"predict": predict, "images": images, "labels": labels, "classes": tuple(classes)}
    return _measure(figures, ("trained",), given)


def _measure(
    figures: Iterable[Figure], bases: Sequence[Basis], supplied: Mapping[str, object]
) -> dict[str, float]:
    taken: dict[str, float] = {}
    for figure in figures:
        if figure.basis in bases:
            part = figure.part
            value = part.load()(**{need: supplied[need] for need in part.needs}, **figure.options)
            try:
                taken[figure.name] = float(value)
            except (TypeError, ValueError, RuntimeError) as error:
                raise KdsearchError(
                    f"objective '{part.name}' must return a number, not {value!r:.60}"
                ) from error
    return taken
