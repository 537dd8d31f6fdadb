"""The teacher bank: outputs of frozen teachers, computed once and read by every trial on the node.

Every trial sees the same images in the same views and the same order, so a teacher's outputs for an epoch
can be kept: one file for each output and view, its rows in the order in which batches ask for them. A file
is written by one process under a temporary name, and renamed when it is complete; readers map it into
memory, where all processes of the node share it. Its name is a digest of what determines its content.
"""

from __future__ import annotations

import json
import logging
import math
import mmap
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdsearch.data import to_device
from kdsearch.files import is_at, try_lock, write_whole
from kdsearch.space import digest

_log = logging.getLogger(__name__)

#: What comes after the rows: a mark of a complete file, and the checksum of the rows.
_MARK = b"kdsb"
_TAIL = len(_MARK) + 4
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Entry:
    """What a shelf holds, for a table."""

    about: Mapping[str, Any]
    views: int
    bytes: int


class Bank:
    """A folder of shelves that together take at most `limit` bytes.

    On a GPU, views are also copied to its memory, as long as they take at most `device_limit` bytes there.
    """

    def __init__(
        self, folder: Path, limit: int, device: torch.device | None = None, device_limit: int = 0
    ) -> None:
        self.folder = folder
        self.limit = limit
        self._device, self._device_limit, self._device_used = device, device_limit, 0
        self._open: dict[Path, Tensor] = {}
        self.closed = False
        self._logged: set[str] = set()
        self.sweep()

    def shelf(
        self, about: Mapping[str, Any], shape: tuple[int, ...], dtype: torch.dtype, share: float = 1.0
    ) -> Shelf:
        """The shelf of one output of a teacher.

        Args:
            about: All that determines the output, as plain values.
            shape: Of a view: rows, and the shape of the output for one image.
            dtype: In which it is kept.
            share: Of the room in the bank, and of that on the device, which it may help to fill.
        """
        return Shelf(self, *self.place(about, shape, dtype), shape, dtype, share)

    def place(
        self, about: Mapping[str, Any], shape: tuple[int, ...], dtype: torch.dtype
    ) -> tuple[Path, dict[str, Any]]:
        """The folder of an output, and the description of it that is written there.

        The folder does not depend on the name of its `teacher`: under another one its outputs are the same.
        """
        content = {**about, "shape": list(shape), "dtype": str(dtype).removeprefix("torch.")}
        return self.folder / digest({k: v for k, v in content.items() if k != "teacher"}), content

    def view(
        self, path: Path, shape: tuple[int, ...], dtype: torch.dtype, share: float = 1.0
    ) -> Tensor | None:
        """The rows in a file, if it exists and is complete; a damaged one is removed.

        They lie on the device if, with them, no more than a share of the room there is filled.
        """
        if path not in self._open:
            size = math.prod(shape) * dtype.itemsize
            try:
                with path.open("rb") as file:
                    whole = _whole(file, size)
                if not whole:
                    _log.warning("%s in the teacher bank is damaged: its teacher is run again", path)
                    path.unlink(missing_ok=True)
                    return None
                rows = mapped(path, shape, dtype)
            except (OSError, RuntimeError):  # RuntimeError: it was removed just now
                return None
            self._open[path] = self._placed(rows, size, share)
        return self._open[path]

    def _placed(self, rows: Tensor, size: int, share: float) -> Tensor:
        if self._device is None or self._device.type == "cpu":
            return rows
        if self._device_used + size > share * self._device_limit:
            return rows
        self._device_used += size
        return rows.to(self._device)

    def label(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Make a folder, with a description of what it holds."""
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / "about.json"
        if not target.exists():
            write_whole(target, json.dumps(about))

    def room_for(self, size: int, share: float = 1.0) -> bool:
        """Whether `size` more bytes fit into a share of the bank; logs why not."""
        if self.closed:
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        most = share * self.limit
        if self.used() + size > most:
            what = "outputs" if share == 1 else "features"
            full = f"is full: bank.bytes leaves {most / 1e9:.4g} GB to {what}"
        elif shutil.disk_usage(self.folder).free < size:
            full = "has no room left on its disk"
        else:
            return True
        self.once(f"the teacher bank in {self.folder} {full}; teachers are run for what it lacks")
        return False

    def used(self) -> int:
        """Bytes that all files take."""
        return sum(_size(path) for path in self.folder.glob("*/view-*"))

    def entries(self) -> list[Entry]:
        """What is on the shelves."""
        found = []
        for about in sorted(self.folder.glob("*/about.json")):
            files = [path for path in about.parent.glob("view-*") if path.suffix != ".part"]
            size = sum(map(_size, files))
            found.append(Entry(json.loads(about.read_text(encoding="utf-8")), len(files), size))
        return found

    def clear(self) -> int:
        """Remove everything; returns how many bytes that was. Open files remain readable."""
        size = self.used()
        shutil.rmtree(self.folder, ignore_errors=True)
        return size

    def sweep(self) -> None:
        """Remove what writers that died left behind."""
        for part in self.folder.glob("*/view-*.part"):
            try:
                file = os.open(part, os.O_RDWR)
            except OSError:
                continue
            if try_lock(file, part):
                part.unlink(missing_ok=True)
            os.close(file)

    def give_up(self, error: Exception) -> None:
        """Keep nothing more, and log why, unless the error only means that the bank was cleared."""
        if not isinstance(error, FileNotFoundError) and not self.closed:
            self.closed = True
            self.once(
                f"the teacher bank in {self.folder} cannot be written ({error}): teachers are run instead"
            )

    def once(self, text: str, level: int = logging.WARNING) -> None:
        """Log a message unless it was logged before."""
        if text not in self._logged:
            self._logged.add(text)
            _log.log(level, "%s", text)


class Shelf:
    """One output of one teacher, view by view.

    The rows of a view are those of a worker's epoch, in order, or, where images have one view, all images.
    """

    def __init__(
        self,
        bank: Bank,
        folder: Path,
        about: Mapping[str, Any],
        shape: tuple[int, ...],
        dtype: torch.dtype,
        share: float,
    ) -> None:
        self._bank, self._folder, self._about = bank, folder, about
        self._shape, self._dtype, self._share = shape, dtype, share
        self._size = math.prod(shape) * dtype.itemsize
        self._writing: _Writing | None = None
        self._room: dict[int, bool] = {}
        self._reading: tuple[int, Tensor] | None = None

    def read(self, view: int, rows: slice | Tensor) -> Tensor | None:
        """Some rows of a view, (count, …), by their numbers on the CPU; None when they are not kept."""
        if self._reading is None or self._reading[0] != view:
            found = self._bank.view(self._folder / f"view-{view}", self._shape, self._dtype, self._share)
            if found is None:
                return None
            self._reading = view, found
        _, kept = self._reading
        return kept[rows] if isinstance(rows, slice) else kept.index_select(0, to_device(rows, kept.device))

    def has(self, view: int) -> bool:
        """Whether a view can be read."""
        return self.read(view, slice(0, 0)) is not None

    def begin(self, view: int) -> bool:
        """Start to write a view; False when another process does, or it cannot be kept."""
        self.close()
        self._writing = self._started(view)
        return self._writing is not None

    def write(self, view: int, start: int, rows: Tensor) -> None:
        """Add rows (count, …) from `start` on, in order. The last ones make the view readable."""
        if start == 0 and (self._writing is None or self._writing.view != view):
            self.begin(view)
        writing, end = self._writing, start + len(rows)
        if writing is None or writing.view != view or not start <= writing.done < end:
            return
        writing.rows[start:end] = rows.to(writing.rows.device)
        writing.done = end
        if end == self._shape[0]:
            self._writing = None
            try:
                writing.publish(self._folder / f"view-{view}")
            except OSError as error:
                self._bank.give_up(error)

    def close(self) -> None:
        """Drop an unfinished view."""
        if self._writing is not None:
            self._writing.abandon()
            self._writing = None

    def _started(self, view: int) -> _Writing | None:
        """A file to write this view to, unless another process writes it or there is no room."""
        try:
            if view not in self._room:  # asked once: where images have one view, every batch comes here
                self._room[view] = self._bank.room_for(self._size + _TAIL, self._share)
            if self._bank.closed or not self._room[view]:
                return None
            self._bank.label(self._folder, self._about)
            path = self._folder / f"view-{view}.part"
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            if not try_lock(file, path):
                os.close(file)
                return None
            try:
                # Reserved now: on a full disk, writing to mapped memory would kill the process.
                os.posix_fallocate(file, 0, self._size + _TAIL)
                # Not by its path, under which there may be another file by now.
                memory = mmap.mmap(file, self._size)
                return _Writing(
                    view, path, file, torch.frombuffer(memory, dtype=self._dtype).view(self._shape)
                )
            except OSError:
                path.unlink(missing_ok=True)
                os.close(file)
                raise
        except OSError as error:
            self._bank.give_up(error)
            return None


@dataclass
class _Writing:
    """A view that is being written; its lock ends with the process."""

    view: int
    path: Path
    file: int
    rows: Tensor
    done: int = 0

    def publish(self, target: Path) -> None:
        """Put the file in its place, unless it was removed while it was written."""
        size = self.rows.numel() * self.rows.element_size()
        with os.fdopen(self.file, "r+b") as file:
            checksum = _checksum(file, size)
            file.seek(size)
            file.write(_MARK + checksum.to_bytes(4, "little"))
            file.truncate()
            file.flush()
            if is_at(self.file, self.path):
                self.path.replace(target)

    def abandon(self) -> None:
        if is_at(self.file, self.path):
            self.path.unlink(missing_ok=True)
        os.close(self.file)


def mapped(path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """The rows of a file, in memory that all processes share."""
    return torch.from_file(str(path), size=math.prod(shape), dtype=dtype).view(shape)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _whole(file: Any, size: int) -> bool:
    file.seek(0, os.SEEK_END)
    if file.tell() != size + _TAIL:
        return False
    checksum = _checksum(file, size)
    file.seek(size)
    return bool(file.read() == _MARK + checksum.to_bytes(4, "little"))


def _checksum(file: Any, size: int) -> int:
    file.seek(0)
    checksum, left = 0, size
    while left and (chunk := file.read(min(left, _CHUNK))):
        checksum, left = zlib.crc32(chunk, checksum), left - len(chunk)
    return checksum
