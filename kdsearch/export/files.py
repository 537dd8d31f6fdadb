"""What an export consists of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kdsearch.errors import InputError

GRAPH = "student.onnx"
METRICS, LABELS, CARD, SUMS = "metrics.json", "labels.txt", "README.md", "SHA256SUMS"


def check_out(out: Path) -> None:
    """Raise InputError when the folder of an export is there already."""
    if out.exists():
        raise InputError(f"--out {out}: it exists; name a folder that does not")


def write_sums(folder: Path) -> None:
    """Write the SHA-256 of every file of `folder`, as `sha256sum --check SHA256SUMS` reads them."""
    lines = [f"{_sum(path)}  {path.name}\n" for path in sorted(folder.iterdir()) if path.name != SUMS]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def check_sums(folder: Path) -> None:
    """Raise InputError when a file of an export is not as it was written."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder} holds no export: {SUMS} cannot be read ({error})") from None
    for line in lines:
        expected, _, name = line.partition("  ")
        path = folder / name
        if not name or path.parent != folder or not path.is_file():
            raise InputError(f"{folder} is incomplete: {SUMS} names '{name}', which is not there")
        if _sum(path) != expected:
            raise InputError(f"{path} is damaged: it is not the file that {SUMS} was written for")


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
