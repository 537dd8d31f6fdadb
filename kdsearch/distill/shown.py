"""What teachers show a student: their outputs for a batch, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsearch.data import Batch
from kdsearch.distill.layers import DeepEnough, Taps
from kdsearch.distill.specialists import competence, widened


@dataclass(frozen=True)
class Shown:
    """What the teachers show for one batch.

    The `logits` (K, B, C) of the members, the features of hinted layers by (teacher, layer), and, where a
    loss asks for them, the gradients (K, B, C, H, W) of the members' cross-entropies for the images.
    """

    logits: Tensor | None
    features: Mapping[tuple[str, str], Tensor]
    image_gradients: Tensor | None = None
    competence: Tensor | None = None
    """Which member knows which class, (K, C); None where all know all."""


#: Where no loss looks at a teacher.
NOTHING = Shown(None, {})


class Teachers:
    """Frozen teachers, run once a batch for everything that the losses ask of them."""

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        members: tuple[str, ...],
        hinted: Mapping[str, tuple[str, ...]],
        *,
        gradients: bool = False,
        known: Mapping[str, Tensor] | None = None,
        classes: int = 0,
    ) -> None:
        """
        Args:
            models: All teachers in use, frozen and in eval mode.
            members: Those whose logits are used.
            hinted: The paths of the layers whose features are used, by teacher, the deepest last. A teacher
                that is no member runs only up to there.
            gradients: Whether the gradients for the images are used as well.
            known: The classes of those that know only some, by teacher.
            classes: How many there are in all.
        """
        self.known = known or {}
        self.classes = classes
        self.competence = competence([self.known.get(name) for name in members], classes)
        self.models = models
        self.members = members
        self.gradients = gradients
        self.taps = {
            name: Taps(models[name], paths, stop=name not in members and bool(paths))
            for name, paths in hinted.items()
        }

    def __call__(self, batch: Batch) -> Shown:
        """What the teachers show for one batch, without gradients of their own."""
        with torch.set_grad_enabled(self.gradients):
            images = batch.images.detach().requires_grad_() if self.gradients else batch.images
            outputs = {name: self._run(name, images) for name in self.models}
            features = {
                (name, path): feature.detach()
                for name, taps in self.taps.items()
                for path, feature in taps.take().items()
            }
            members = [output for name in self.members if (output := outputs[name]) is not None]
            if not members:
                return Shown(None, features)
            if not self.gradients:
                return Shown(torch.stack(members), features, competence=self._competence(members[0]))
            gradients = [image_gradient(logits, batch.labels, images) for logits in members]
        stacked = torch.stack(members).detach()
        return Shown(stacked, features, torch.stack(gradients), self._competence(stacked))

    def _run(self, name: str, images: Tensor) -> Tensor | None:
        try:
            output: Tensor = self.models[name](images)
        except DeepEnough:
            return None
        if name in self.known:
            return widened(output, self.known[name].to(output.device), self.classes)
        return output

    def _competence(self, like: Tensor) -> Tensor | None:
        return None if self.competence is None else self.competence.to(like)

    def close(self) -> None:
        """Remove the hooks from the models."""
        for taps in self.taps.values():
            taps.close()


def image_gradient(logits: Tensor, labels: Tensor, images: Tensor, *, create_graph: bool = False) -> Tensor:
    """The gradient (B, C, H, W) of each image's cross-entropy with respect to that image."""
    loss = F.cross_entropy(logits, labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, images, create_graph=create_graph)
    return gradient
