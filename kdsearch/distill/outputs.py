"""The outputs of teachers for a batch, computed once for all losses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.data import Batch
from kdsearch.distill.connect import at_least_float32
from kdsearch.distill.layers import DeepEnough, Taps
from kdsearch.distill.shelves import LOGITS, Shelves
from kdsearch.distill.specialists import competence, widened


@dataclass(frozen=True)
class TeacherOutputs:
    """The teachers' outputs for one batch.

    The `logits` (K, B, C) of the members, in no less than float32, the features of hinted layers by
    (teacher, layer), and, where a loss asks for them, the gradients (K, B, C, H, W) of the members'
    cross-entropies for the images.
    """

    logits: Tensor | None
    features: Mapping[tuple[str, str], Tensor]
    image_gradients: Tensor | None = None
    competence: Tensor | None = None
    """Which member knows which class, (K, C); None where all know all."""
    pull: Callable[[Tensor], Tensor] | None = None
    """Where members are merged, instead of `image_gradients`: from a gradient for the logits to that for the
    images."""


#: Where no loss looks at a teacher.
NOTHING = TeacherOutputs(None, {})


class Teachers:
    """Frozen teachers, run or read from the bank once a batch, for all losses."""

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        members: tuple[str, ...],
        hinted: Mapping[str, tuple[str, ...]],
        *,
        classes: int,
        gradients: bool = False,
        merged: bool = False,
        known: Mapping[str, Tensor] | None = None,
        shelves: Shelves | None = None,
    ) -> None:
        """
        Args:
            models: All teachers in use, frozen and in eval mode.
            members: Those whose logits are used.
            hinted: The paths of the layers whose features are used, by teacher, the deepest last.
            classes: How many there are.
            gradients: Whether the gradients of the members for the images are used as well.
            merged: Whether these are of what the members are merged into.
            known: The classes of those that know only some, by teacher, on the device of the models.
            shelves: Of the bank; None to run the teachers. Gradients are not kept there: they are as large as
                the images, and take a whole forward and backward pass.
        """
        self.models = models
        self.members = members
        self.classes = classes
        self.graded = members if gradients else ()
        self.merged = merged
        self.known = known or {}
        self.competence = competence([self.known.get(name) for name in members], classes)
        self.shelves = shelves
        self.taps = {name: Taps(models[name], hinted.get(name, ())) for name in models}
        self.wanted = {
            name: [*hinted.get(name, ()), *([LOGITS] if name in members else ())] for name in models
        }

    def __call__(self, batch: Batch) -> TeacherOutputs:
        """The teachers' outputs for one batch, detached."""
        images = batch.images.detach().requires_grad_() if self.graded else batch.images
        answers = {name: self._answer(name, wanted, batch, images) for name, wanted in self.wanted.items()}
        with torch.set_grad_enabled(bool(self.graded)):
            members = [self._widened(name, answers[name][LOGITS]) for name in self.members]
        features = {
            (name, layer): feature.detach()
            for name, answer in answers.items()
            for layer, feature in answer.items()
            if layer != LOGITS
        }
        if not members:
            return TeacherOutputs(None, features)
        with torch.set_grad_enabled(bool(self.graded)):
            logits = at_least_float32(torch.stack(members) if len(members) > 1 else members[0][None])
        made = TeacherOutputs(logits.detach(), features, competence=self.competence)
        if not self.graded:
            return made
        if self.merged:
            return replace(made, pull=partial(_pulled, logits, images))
        gradients = torch.stack([image_gradient(z, batch.labels, images) for z in members])
        return replace(made, image_gradients=gradients)

    def _answer(self, name: str, wanted: list[str], batch: Batch, images: Tensor) -> dict[str, Tensor]:
        if name in self.graded:
            with torch.enable_grad():
                return self._run(name, images, wanted)
        with torch.no_grad():
            if self.shelves is None:
                return self._run(name, batch.images, wanted)
            return self.shelves.answer(name, wanted, batch, self._run)

    def _run(self, name: str, images: Tensor, layers: list[str]) -> dict[str, Tensor]:
        """The outputs of some layers, in the order in which they run; the model stops at the last of them."""
        taps = self.taps[name]
        taps.stop = None if LOGITS in layers else layers[-1]
        answer: dict[str, Tensor] = {}
        try:
            with contextlib.suppress(DeepEnough):
                answer[LOGITS] = self.models[name](images)
        finally:  # The evaluation asks the same model for its logits.
            taps.stop = None
        answer |= taps.take()
        return {layer: _channels_last(answer[layer]) for layer in layers}

    def _widened(self, name: str, logits: Tensor) -> Tensor:
        known = self.known.get(name)
        return logits if known is None else widened(logits, known, self.classes)

    def close(self) -> None:
        """Remove the hooks from the models, and drop unfinished views from the bank."""
        for taps in self.taps.values():
            taps.close()
        if self.shelves is not None:
            self.shelves.close()


def _channels_last(output: Tensor) -> Tensor:
    """Feature maps as the bank keeps them; other outputs as they are."""
    return output.contiguous(memory_format=torch.channels_last) if output.dim() == 4 else output


def image_gradient(logits: Tensor, labels: Tensor, images: Tensor, *, create_graph: bool = False) -> Tensor:
    """The gradient (B, C, H, W) of each image's cross-entropy with respect to that image."""
    loss = F.cross_entropy(logits, labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, images, create_graph=create_graph)
    return gradient


def _pulled(logits: Tensor, images: Tensor, gradient: Tensor) -> Tensor:
    """The gradient for the images of which logits were made, by that for the logits."""
    (pulled,) = torch.autograd.grad(logits, images, gradient, retain_graph=True)
    return pulled
