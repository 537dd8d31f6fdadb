"""Figures rehearsed before anything is trained, so that what is wrong with one is told then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from kdsearch import models
from kdsearch.errors import KdsearchError
from kdsearch.measure._measure import measure_architecture, measure_predictions, measure_trained
from kdsearch.measure.figure import Figure
from kdsearch.types import Shape


def rehearse(
    figures: Iterable[Figure],
    shape: Shape,
    classes: Sequence[str],
    students: Sequence[Mapping[str, Any]],
    forms: Sequence[Mapping[str, Any]],
    teachers: Iterable[str],
) -> Iterator[tuple[str, str]]:
    """The name of each figure that refuses its input, and why.

    Those that follow from predictions are taken of made-up ones, those that follow from the architecture and
    are looked up by it of each of `students` in each of `forms`. Nothing is timed.

    Args:
        figures: To be taken later.
        shape: Channels, height, width of an image.
        classes: Their names.
        students: Model configs.
        forms: In which they ship.
        teachers: Names.
    """
    count = max(2, len(classes))
    labels = torch.arange(len(classes)).repeat(-(-count // max(1, len(classes))))
    logits = torch.randn(len(labels), len(classes), generator=torch.Generator().manual_seed(0))
    said = dict.fromkeys(teachers, logits)

    def predict(images: Tensor) -> Tensor:
        return torch.zeros(len(images), len(classes))

    for figure in figures:
        try:
            match figure.basis:
                case "predictions":
                    measure_predictions(
                        logits, labels, [figure], classes=classes, teacher_logits=said, members=list(said)
                    )
                case "trained":
                    images = torch.zeros((2, *shape), dtype=torch.uint8)
                    measure_trained(predict, images, labels[:2], [figure], classes=classes)
                case "architecture" if "architecture" in figure.part.needs:
                    for student in students:
                        model = models.build(student, shape, len(classes))
                        for form in forms:
                            measure_architecture(model, shape, [figure], architecture=student, deploy=form)
        except KdsearchError as error:
            yield figure.name, str(error)
        except Exception:  # made-up predictions may be more than a user's own figure can take
            continue
