"""Checks of a search that need its data and models."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kdsearch import models
from kdsearch.deploy import WithPreprocessing, write_graph
from kdsearch.distill.layers import Layers
from kdsearch.distill.matching import layers_of, match_layers
from kdsearch.distill.resident import load_dataset
from kdsearch.distill.terms import Sides, make_terms, of_labels
from kdsearch.errors import InputError, Problem, nearest
from kdsearch.measure import figures_of, rehearse
from kdsearch.registry import find
from kdsearch.space import all_losses, corners, reusing
from kdsearch.spec import Loss, Spec, located
from kdsearch.types import Shape


@dataclass(frozen=True)
class Facts:
    """What a spec's data set looks like."""

    shape: Shape
    classes: tuple[str, ...]

    def layers(self, model: Mapping[str, Any]) -> Layers:
        """The layers of a model on this data."""
        return layers_of(model, self.shape, len(self.classes))


def preflight(spec: Spec, file: str | None = None) -> Facts:
    """Load the data, and build every teacher and every extreme student on it.

    Raises:
        SpecError: With all that does not fit.
    """
    try:
        dataset = load_dataset(spec.data)
    except InputError as error:
        raise located([Problem(("data",), str(error))], file) from None
    facts = Facts(dataset.shape, dataset.classes)
    if problems := [*_teachers(spec, facts), *_students(spec, facts)]:
        raise located(problems, file)
    if problems := [
        *_matches(spec, facts),
        *_mixed(spec, facts),
        *_figures(spec, facts),
        *_forms(spec, facts),
    ]:
        raise located(problems, file)
    return facts


def _teachers(spec: Spec, facts: Facts) -> Iterator[Problem]:
    tree = spec.tree()["teachers"]
    for name, teacher in spec.teachers.items():
        known = teacher.classes or facts.classes
        if unknown := [c for c in known if c not in facts.classes]:
            message = f"the data has no class '{unknown[0]}'{nearest(unknown[0], facts.classes)}"
            yield Problem(("teachers", name, "classes"), message)
            continue
        try:
            models.check_model(tree[name]["model"], facts.shape, len(known))
            if teacher.weights is not None:
                model = models.build(tree[name]["model"], facts.shape, len(known))
                models.load_weights(model, Path(teacher.weights))
        except InputError as error:
            key = ("teachers", name, "weights" if teacher.weights else "model")
            yield Problem(
                key, f"{error} (the {'teacher' if teacher.classes else 'data'} has {len(known)} classes)"
            )


def _students(spec: Spec, facts: Facts) -> Iterator[Problem]:
    for student in corners(spec.tree()["student"]):
        try:
            models.check_model(student, facts.shape, len(facts.classes))
        except InputError as error:
            yield Problem(("student",), f"{error}; options {_options(student)}")
            return
    tree = spec.tree()
    for student in corners(tree["student"]):
        for name in spec.teachers:
            teachers = {**tree["distill"]["teachers"], "members": [name]}
            config = {**tree, "student": student, "distill": {**tree["distill"], "teachers": teachers}}
            if (made := reusing(config)["student"]) is student:
                return
            try:
                models.check_model(made, facts.shape, len(facts.classes))
            except InputError as error:
                yield Problem(("distill", "losses"), f"the teacher '{name}' cannot be reused: {error}")
                return


def _forms(spec: Spec, facts: Facts) -> Iterator[Problem]:
    """One student of each family is exported where a spec asks for ONNX: that takes a second each."""
    if not any(form["format"] == "onnx" for form in corners(spec.tree()["deploy"])):
        return
    channels = facts.shape[0]
    families = {student["name"]: student for student in reversed(corners(spec.tree()["student"]))}
    with tempfile.TemporaryDirectory() as folder:
        for student in families.values():
            model = models.build(student, facts.shape, len(facts.classes), seed=0)
            shipped = WithPreprocessing(model, torch.zeros(channels), torch.ones(channels)).eval()
            try:
                write_graph(shipped, facts.shape, facts.classes, Path(folder) / "student.onnx")
            except InputError as error:
                yield Problem(("deploy", "format"), f"{student['name']}: {error}")


def _matches(spec: Spec, facts: Facts) -> Iterator[Problem]:
    tree = spec.tree()
    for place, loss in all_losses(tree["distill"]):
        if not isinstance(loss.get("match"), list):
            continue
        for student in corners(tree["student"]):
            alone = {**tree["distill"], "losses": {loss["name"]: loss}, "stages": []}
            config = {**tree, "student": student, "distill": alone}
            try:
                match_layers(config, facts.layers)
            except InputError as error:
                yield Problem(("distill", *_keys(place), "match"), str(error).partition(": ")[2])
                break


def _mixed(spec: Spec, facts: Facts) -> Iterator[Problem]:
    """Where images are mixed, a loss on labels is weighed for each by its two: it must tell images apart."""
    if not (spec.data.augment.mixup or spec.data.augment.cutmix):
        return
    sides = Sides(student=Layers([], []), teachers={}, members=(), examples=2, classes=len(facts.classes))
    given = {
        "student_logits": torch.zeros(2, sides.classes),
        "labels": torch.zeros(2, dtype=torch.long),
        "images": torch.zeros(2, *facts.shape),
    }
    for place, loss in all_losses(spec.tree()["distill"]):
        if not of_labels(part := find("loss", loss["name"])):
            continue
        for term in make_terms({place: Loss.model_validate(corners(loss)[0])}, sides):
            value = term.call(**{need: given[need] for need in part.needs}, **term.options_at(0.0))
            if value.shape != (2,):
                message = (
                    f"mixed images (data.augment) have two labels each, so that a loss on labels must return "
                    f"one number an image; {loss['name']} returns one a batch"
                )
                yield Problem(("distill", *_keys(place)), message)


def _keys(place: str) -> tuple[str | int, ...]:
    return tuple(int(key) if key.isdigit() else key for key in place.split("."))


def _figures(spec: Spec, facts: Facts) -> Iterator[Problem]:
    # What needs no data was checked with the spec; of the rest few parts have anything to refuse.
    tree = spec.tree()
    students, forms = corners(tree["student"]), corners(tree["deploy"])
    found = rehearse(figures_of(spec), facts.shape, facts.classes, students, forms, spec.teachers)
    for name, message in found:
        section = "measure" if name in spec.measure.figures else "objectives"
        yield Problem((section, name), message)


def _options(model: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in model.items() if key != "name") or "none"
