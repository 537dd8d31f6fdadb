"""A training on disk, so that one that was interrupted resumes as if it had not been."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from kdsearch.errors import KdsearchError
from kdsearch.files import replacing
from kdsearch.storage import remove, send

_log = logging.getLogger(__name__)

State = dict[str, Any]
_KEYS = {"about", "epoch", "told", "objective", "optimizer", "random", "random_cuda"}


class Checkpoint:
    """The last checkpoint of a training, and the next.

    Student, parameters of losses, optimiser and random numbers are kept, and batches depend on the number of
    the epoch alone: training continues bit for bit as it would have. `epoch` is how many epochs are done, and
    `history` the metrics of each: the receiver may have died before seeing them.
    """

    def __init__(self, path: Path, about: str, every: float, *, rank: int = 0, world_size: int = 1) -> None:
        """
        Args:
            path: The file; one that is damaged, or of another training, is deleted.
            about: Identifies this training.
            every: Seconds between two checkpoints, so that a short training writes none.
            rank: Which worker this is; the first one writes, all of them read.
            world_size: How many workers there are.
        """
        self._path, self._about, self._every, self._rank = path, about, every, rank
        self._saved = time.monotonic()
        state = self._read()
        self.epoch = _agreed(int(state["epoch"]) if state else 0, world_size)
        self._state = state if self.epoch else None
        self.history: list[dict[str, float]] = self._state["told"] if self._state else []

    def restore(self, objective: nn.Module, optimizer: Optimizer, epochs: range) -> int:
        """The epoch of `epochs` to resume with, after restoring the objective and its optimiser to before it.

        Raises:
            KdsearchError: When the file is of another model; it is deleted.
        """
        state, self._state = self._state, None
        if state is None or self.epoch not in epochs:
            return epochs.start
        if not _fits(state["objective"], objective):
            self.remove()
            raise KdsearchError(f"{self._path} was of another version of this model, and is deleted")
        optimizer.load_state_dict(state["optimizer"])
        _lay_out_as_parameters(optimizer)
        objective.load_state_dict(state["objective"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["random_cuda"])
        return self.epoch

    def save(
        self,
        objective: nn.Module,
        optimizer: Optimizer,
        metrics: dict[str, float],
        *,
        last: bool,
        now: bool,
    ) -> None:
        """Save the state after the epoch of `metrics` if it is time, or `now` that training is interrupted.

        After the `last` epoch of a phase nothing is saved: there is nothing in it to resume.
        """
        self.history.append(metrics)
        if self._rank or last or not (now or time.monotonic() - self._saved >= self._every):
            return
        cuda = torch.cuda.get_rng_state() if next(objective.parameters()).is_cuda else None
        state = {
            "about": self._about,
            "epoch": len(self.history),
            "told": self.history,
            "objective": objective.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": cuda,
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as part:
                torch.save(state, part)
            send(self._path)
        except (OSError, RuntimeError) as error:
            # Without it training goes on; if the disk is full, the result will say so.
            _log.warning("no checkpoint in %s: %s", self._path, error)
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Delete the file: training is over, and its result is stored."""
        if self._rank == 0:
            remove(self._path.parent, self._path.name)

    def _read(self) -> State | None:
        if not self._path.exists():
            return None
        try:
            state = torch.load(self._path, map_location="cpu", weights_only=True)
            if isinstance(state, dict) and state.keys() >= _KEYS and state["about"] == self._about:
                return state
        except Exception as error:  # each layer of the format has errors of its own
            _log.warning("%s is damaged and not used: %s", self._path, error)
        self._path.unlink(missing_ok=True)
        return None


def _agreed(epoch: int, world_size: int) -> int:
    """The epoch that all workers have a checkpoint of, or 0: they may not see the same file."""
    if world_size == 1:
        return epoch
    epochs: list[Any] = [None] * world_size
    distributed.all_gather_object(epochs, epoch)
    return epoch if len(set(epochs)) == 1 else 0


def _lay_out_as_parameters(optimizer: Optimizer) -> None:
    """Lay what an optimiser keeps of each parameter out as that parameter: a fused one reads them in step.

    It is restored as it was saved, perhaps by a process that laid its model out in another way.
    """
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _fits(state: State, objective: nn.Module) -> bool:
    shapes = {key: value.shape for key, value in objective.state_dict().items()}
    return shapes == {key: value.shape for key, value in state.items()}
