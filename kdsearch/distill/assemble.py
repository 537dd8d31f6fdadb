"""Builds the teachers that the losses of a config need, and the objective that trains its student."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from torch import nn

from kdsearch.distill.layers import Layers, find_layers
from kdsearch.distill.objective import Combination, Objective
from kdsearch.distill.outputs import Teachers
from kdsearch.distill.resident import Resident, Splits
from kdsearch.distill.shelves import LOGITS, Shelves
from kdsearch.distill.terms import Sides, Term, make_terms
from kdsearch.models.reused import reused
from kdsearch.registry import find
from kdsearch.spec import Loss, Spec

#: Takes the shape of each output for one image, by teacher and layer, and the teachers whose gradients for
#: the images are needed too; returns where outputs are kept, if they are.
Keep = Callable[[Mapping[tuple[str, str], tuple[int, ...]], Collection[str]], Shelves | None]


def assemble(
    config: Spec,
    losses: Mapping[str, Loss],
    student: nn.Module,
    resident: Resident,
    splits: Splits,
    *,
    keep: Keep = lambda outputs, graded: None,
) -> tuple[Teachers, Objective]:
    """The teachers that some losses of a config need, and its student with these losses."""
    use = config.distill.teachers
    members = tuple(use.members)
    frozen = {name: resident.teacher(config, name) for name in config.teachers}
    needs = {need for loss in losses.values() for need in find("loss", loss.part).needs}
    tapped = not needs.isdisjoint(("student_feature", "student_features"))
    sides = Sides(
        student=find_layers(student, splits.shape) if tapped else Layers([], []),
        teachers={name: find_layers(model, splits.shape) for name, model in frozen.items()} if tapped else {},
        members=members,
        examples=len(splits.train),
        classes=len(splits.classes),
    )
    terms = list(make_terms(losses, sides))
    if isinstance(student, reused) and members:
        student.adopt(frozen[members[0]], splits.shape)
    combine = Combination(use.combine, members, len(splits.classes), use.dropout)
    hinted = {name: paths for name in frozen if (paths := _hinted(name, terms, sides))}
    # The weights of several teachers may follow from their outputs, and weigh their hints too.
    asked = any(term.of_members or (term.teacher in members and len(members) > 1) for term in terms)
    answering = members if asked else ()
    used = {name: model for name, model in frozen.items() if name in hinted or name in answering}
    known = {
        name: torch.tensor([splits.classes.index(c) for c in names], device=resident.device)
        for name in frozen
        if (names := config.teachers[name].classes)
    }
    sizes = {(n, layer.path): layer.shape for n in hinted for layer in sides.teachers[n].every}
    outputs = {(n, path): sizes[n, path] for n, paths in hinted.items() for path in paths}
    outputs |= {(n, LOGITS): (len(known.get(n, splits.classes)),) for n in answering}
    gradients = "teacher_image_gradient" in needs
    teachers = Teachers(
        used,
        answering,
        hinted,
        classes=len(splits.classes),
        gradients=gradients,
        merged=len(members) > 1 and combine.merges,
        known=known,
        shelves=keep(outputs, answering if gradients else ()) if outputs else None,
    )
    return teachers, Objective(student, terms, members, combine)


def _hinted(name: str, terms: list[Term], sides: Sides) -> tuple[str, ...]:
    """The layers of a teacher that some term uses, in the order in which they run."""
    wanted = {path for term in terms for teacher, path in term.teacher_layers if teacher == name}
    return tuple(layer.path for layer in sides.teachers[name].every if layer.path in wanted) if wanted else ()
