"""What the bank keeps of the teachers of one config, and in which form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from kdsearch.data import Batch, Batches, to_device
from kdsearch.distill.bank import Bank
from kdsearch.distill.connect import at_least_float32
from kdsearch.distill.outcomes import Outcomes, outcomes
from kdsearch.spec import BankUse

#: Stands for the output of a teacher among the paths of its layers.
LOGITS = ""
#: The share of the bank that features may fill: logits are small, and most trials need them.
FEATURES = 0.9
#: The whole numbers as long as a float.
_BITS = {torch.float16: torch.int16, torch.float32: torch.int32}

#: A teacher's layers for some images.
Run = Callable[[str, Tensor, list[str]], dict[str, Tensor]]


class Shelves:
    """The shelves of every output of every teacher.

    A teacher's outputs are rounded and cut as the bank keeps them even where they are computed, so that a
    config gives the same figures whether the bank was full or empty. Feature maps are kept with the channels
    last, as they are computed.
    """

    def __init__(
        self,
        bank: Bank,
        use: BankUse,
        outputs: Mapping[tuple[str, str], tuple[int, ...]],
        about: Mapping[str, Mapping[str, Any]],
        batches: Batches,
        views: Mapping[str, Any] = MappingProxyType({}),
        lasting: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            bank: Where outputs are kept.
            use: In which form.
            outputs: The shape for one image of each, by teacher and layer.
            about: All that determines a teacher's outputs, by its name, as plain values.
            batches: Of the images that it sees.
            views: What determines the views and the batches in which they are seen, as plain values.
            lasting: What determines the ways in which images can be seen: logits are then kept for each of
                these, of teachers of which nothing else is asked; None for the views of this seed alone.
        """
        self._batches = batches
        self._float = torch.float16 if use.dtype == "fp16" else torch.float32
        self._topk = use.topk
        self._classes = {teacher: shape[0] for (teacher, layer), shape in outputs.items() if layer == LOGITS}
        rows = batches.rows if batches.augmented else batches.num_images
        self._outcomes: dict[str, Outcomes] = {}
        self._epochs: dict[str, tuple[int, Tensor]] = {}
        if lasting is not None:
            hinted = {teacher for teacher, layer in outputs if layer != LOGITS}
            for teacher in self._classes.keys() - hinted:
                counts = {
                    "outcomes": batches.num_outcomes,
                    "layer": LOGITS,
                    "topk": self._cut(teacher, LOGITS),
                }
                (width,) = self._kept_shape(teacher, LOGITS, outputs[teacher, LOGITS])
                shape = (batches.num_images * batches.num_outcomes, width)
                kept = outcomes(
                    bank, {**about[teacher], **lasting, **counts}, shape, self._dtype(teacher, LOGITS)
                )
                if kept is not None:
                    self._outcomes[teacher] = kept
        self._shelves = {
            (teacher, layer): bank.shelf(
                {**about[teacher], **views, "layer": layer, "topk": self._cut(teacher, layer)},
                (rows, *self._kept_shape(teacher, layer, shape)),
                self._dtype(teacher, layer),
                1.0 if layer == LOGITS else FEATURES,
            )
            for (teacher, layer), shape in outputs.items()
        }

    def answer(self, teacher: str, layers: list[str], batch: Batch, run: Run) -> dict[str, Tensor]:
        """Some layers of a teacher for a batch, float32: read from the bank, or computed."""
        if batch.start is None:
            self._fill(teacher, layers, batch, run)
        elif teacher in self._outcomes:
            epoch = self._of_epoch(teacher, batch, run)
            return {LOGITS: self._decoded(teacher, LOGITS, epoch[batch.start :][: len(batch.labels)])}
        rows: slice | Tensor
        if batch.start is None:
            assert batch.host_indices is not None
            rows = batch.host_indices
        else:
            rows = slice(batch.start, batch.start + len(batch.labels))
        found: dict[str, Tensor] = {}
        for layer in layers:
            kept = self._shelves[teacher, layer].read(batch.view, rows)
            if kept is not None:
                found[layer] = self._decoded(teacher, layer, to_device(kept, batch.images.device))
        missing = [layer for layer in layers if layer not in found]
        if missing:
            for layer, output in run(teacher, batch.images, missing).items():
                kept = self._encoded(teacher, layer, output)
                if batch.start is not None:
                    self._shelves[teacher, layer].write(batch.view, batch.start, kept)
                found[layer] = self._decoded(teacher, layer, kept)
        return found

    def _of_epoch(self, teacher: str, batch: Batch, run: Run) -> Tensor:
        """A teacher's logits for all that is seen in the epoch of a batch, as they are kept.

        It is first run on the images whose logits are missing, always on as many as a batch has: its logits
        for one then do not depend on how many others were missing.
        """
        view, rows = self._epochs.get(teacher, (-1, None))
        if rows is None or view != batch.view:
            keys, size = self._batches.keys(batch.view), len(batch.labels)
            rows, there = self._outcomes[teacher].read(keys)
            missing = (~there).nonzero()[:, 0]
            places = torch.cat([missing, torch.arange(len(keys))])
            for start in range(0, len(missing), size):
                chosen = places[start : start + size]
                output = run(teacher, self._batches.images_for(keys[chosen]), [LOGITS])[LOGITS]
                # The others only fill the batch; their rows may be in use by other processes.
                lacked = missing[start : start + size]
                rows[lacked] = self._encoded(teacher, LOGITS, output[: len(lacked)]).cpu()
                self._outcomes[teacher].write(keys[lacked], rows[lacked])
            rows = to_device(rows, batch.images.device)
            self._epochs[teacher] = batch.view, rows
        return rows

    def _fill(self, teacher: str, layers: list[str], batch: Batch, run: Run) -> None:
        """Run a teacher once on all images, which have one view, for the layers that are not kept yet."""
        shelves = {layer: self._shelves[teacher, layer] for layer in layers}
        lacking = [layer for layer, shelf in shelves.items() if not shelf.has(0) and shelf.begin(0)]
        if not lacking:
            return
        for part in self._batches.unaugmented():
            first = int(part.indices[0])
            for layer, output in run(teacher, part.images, lacking).items():
                shelves[layer].write(0, first, self._encoded(teacher, layer, output))

    def close(self) -> None:
        """Drop unfinished views."""
        for shelf in self._shelves.values():
            shelf.close()

    def _cut(self, teacher: str, layer: str) -> int | None:
        """How many logits are kept; None for all."""
        cut = layer == LOGITS and self._topk is not None and 2 * self._topk + 1 < self._classes[teacher]
        return self._topk if cut else None

    def _kept_shape(self, teacher: str, layer: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        cut = self._cut(teacher, layer)
        if cut is not None:
            return (2 * cut + 1,)
        return (*shape[1:], shape[0]) if len(shape) == 3 else shape

    def _dtype(self, teacher: str, layer: str) -> torch.dtype:
        """In which an output is kept: sixteen bits hold no larger class number than 65,535."""
        many = self._cut(teacher, layer) is not None and self._classes[teacher] > 1 << 16
        return torch.float32 if many else self._float

    def _encoded(self, teacher: str, layer: str, output: Tensor) -> Tensor:
        cut, dtype = self._cut(teacher, layer), self._dtype(teacher, layer)
        if cut is not None:
            return cut_logits(output, cut, dtype)
        kept = rounded(output, dtype)
        return kept.permute(0, 2, 3, 1) if kept.dim() == 4 else kept

    def _decoded(self, teacher: str, layer: str, kept: Tensor) -> Tensor:
        cut = self._cut(teacher, layer)
        if cut is not None:
            return whole_logits(kept, cut, self._classes[teacher])
        output = kept.float()
        return output.permute(0, 3, 1, 2) if output.dim() == 4 else output


def rounded(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values in a dtype, the finite ones brought into its range: 70,000 would be infinite in fp16."""
    values = at_least_float32(values)
    if dtype == values.dtype:
        return values
    limit = torch.finfo(dtype).max
    return torch.where(values.isinf(), values, values.clamp(-limit, limit)).to(dtype)


def cut_logits(logits: Tensor, k: int, dtype: torch.dtype) -> Tensor:
    """The k largest logits of each image (B, C), their classes, and the rest's mass, as (B, 2k + 1).

    The mass is the logarithm of the sum of the rest's exponentials. Classes are whole numbers in the bits of
    `dtype`: below 2^16 for float16, below 2^31 for float32.
    """
    values, classes = logits.float().topk(k, 1)
    rest = logits.float().scatter(1, classes, -math.inf).logsumexp(1, keepdim=True)
    bits = _BITS[dtype]
    return torch.cat([rounded(values, dtype), classes.to(bits).view(dtype), rounded(rest, dtype)], 1)


def whole_logits(kept: Tensor, k: int, classes: int) -> Tensor:
    """Logits (B, classes) with the same k largest, and the rest's mass spread evenly over the others."""
    bits = _BITS[kept.dtype]
    # Numbers whose upper bit is set read as negative ones.
    chosen = kept[:, k : 2 * k].contiguous().view(bits).long() & ((1 << 8 * bits.itemsize) - 1)
    each = kept[:, 2 * k :].float() - math.log(classes - k)
    return each.repeat(1, classes).scatter(1, chosen, kept[:, :k].float())
