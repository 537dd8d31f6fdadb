"""A teacher's logits for every augmented variant of every image.

A crop with a border of 4 pixels and a flip has 162 variants of an image. So few fit in one file, with a row
for each variant of each image, filled as trainings meet them and read by all later ones, whatever their seed.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kdsearch.distill.bank import Bank
from kdsearch.files import try_lock

_log = logging.getLogger(__name__)

#: Of rows as whole numbers of as many bits as their values have.
_BITS = {2: np.int16, 4: np.int32}
#: The golden ratio in 64 bits, odd; its powers are the coefficients of a checksum.
_BASE = 0x9E3779B97F4A7C15


class Outcomes:
    """Rows of values (count, width) in a file that any number of processes read and write at once.

    Each row ends with a checksum of its number and its values. A row that was never written, that is half
    written, that two processes wrote at once or that is damaged does not match it, and counts as missing.
    """

    def __init__(self, cells: Tensor, dtype: torch.dtype) -> None:
        """
        Args:
            cells: The rows and their checksums as whole numbers, (count, width + 4 bytes), in shared memory.
            dtype: Of the values.
        """
        self._cells, self._dtype = cells, dtype
        self._width = cells.shape[1] - 4 // cells.element_size()
        self._warned = False

    def read(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Rows by their numbers (n,): values (n, width), and whether each is there, (n,)."""
        cells = self._cells[keys]
        values, checksums = cells[:, : self._width].contiguous(), cells[:, self._width :]
        there = (checksums == self._checksums(keys, values)).all(1)
        if not self._warned and bool((~there & checksums.any(1)).any()):
            _log.warning("some rows in the teacher bank are damaged: their teacher is run again")
            self._warned = True
        return values.view(self._dtype), there

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Set rows: values (n, width) on the CPU, for the numbers (n,)."""
        bits = values.contiguous().view(self._cells.dtype)
        self._cells[keys] = torch.cat([bits, self._checksums(keys, bits)], 1)

    def _checksums(self, keys: Tensor, bits: Tensor) -> Tensor:
        """A polynomial modulo 2^64 of each row's number and values, its upper half; never zero."""
        powers = [pow(_BASE, power, 1 << 64) for power in range(1, self._width + 2)]
        factors = torch.tensor([p - (p >> 63 << 64) for p in powers])
        sums = (bits.long() * factors[1:]).sum(1) + (keys + 1) * factors[0]
        return ((sums >> 32).int() | 1)[:, None].view(bits.dtype)


def outcomes(
    bank: Bank, about: Mapping[str, Any], shape: tuple[int, int], dtype: torch.dtype
) -> Outcomes | None:
    """The rows (count, width) of one output of a teacher; None where there is no room for them.

    Args:
        bank: Where the file lies.
        about: All that determines the output, as plain values.
        shape: How many rows, and how long each.
        dtype: In which they are kept.
    """
    folder, content = bank.place(about, shape, dtype)
    path = folder / "view-all"
    cells = (shape[0], shape[1] + 4 // dtype.itemsize)
    size = math.prod(cells) * dtype.itemsize
    try:
        if path.exists() and path.stat().st_size != size:
            _log.warning("%s in the teacher bank is damaged: its teacher is run again", path)
            path.unlink(missing_ok=True)
        if not path.exists():
            if not bank.room_for(size):
                return None
            bank.label(folder, content)
            _make(path, size)
            if not path.exists():
                return None
        # Not `torch.from_file`, which creates a missing file without reserving its space.
        kept = np.memmap(path, _BITS[dtype.itemsize], "r+", shape=cells)
        return Outcomes(torch.from_numpy(kept), dtype)
    except (OSError, ValueError) as error:
        bank.give_up(error)
        return None


def _make(path: Path, size: int) -> None:
    """Make a file of zeros with its space reserved, once, though several processes may try."""
    part = path.with_suffix(".part")
    file = os.open(part, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not try_lock(file, part, wait=True):
            return  # somebody else was faster
        # On a full disk, writing to mapped memory would kill the process.
        os.posix_fallocate(file, 0, size)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)
