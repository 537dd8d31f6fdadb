"""Parquet files in the layout of Hugging Face datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kdsearch.data.decode import decode
from kdsearch.data.images import Dataset, Images
from kdsearch.data.split import with_test
from kdsearch.errors import InputError, nearest
from kdsearch.registry import register

if TYPE_CHECKING:
    from pyarrow import Table


@register("dataset")
def parquet(*, train: str, test: str | None = None, image: str = "img", label: str = "label") -> Dataset:
    """Local parquet files with a column of encoded images and a column of labels.

    Images are structs `{bytes, path}` or plain bytes; they become uint8, (C, H, W), grey if all of them
    are. Labels are integers from 0, or strings. Without a test file a fixed fifth of every class is the
    test split. Raises InputError for a file that is missing or is not parquet, a column that is not there
    or is of another type, and an image that cannot be decoded or is of another size than the others.

    Args:
        train: Path of a file, or of a folder of files.
        test: Path of the test split.
        image: Name of the column with images.
        label: Name of the column with labels.
    """
    tables = [_table(path, image, label) for path in (train, test) if path is not None]
    classes = _classes(tables, label)
    splits = [_images(table, image, label, classes) for table in tables]
    return with_test(splits[0], splits[1] if test is not None else None, classes)


def _table(path: str, *columns: str) -> Table:
    from pyarrow import ArrowException
    from pyarrow import parquet as pq

    file = Path(path).expanduser()
    if not file.exists():
        raise InputError(f"parquet: there is no file {file}")
    try:
        names = pq.read_schema(file).names if file.is_file() else pq.ParquetDataset(file).schema.names
        for column in columns:
            if column not in names:
                raise InputError(f"parquet: {file} has no column '{column}'{nearest(column, names)}")
        table = pq.read_table(file, columns=list(columns))
    except (ArrowException, OSError) as error:
        raise InputError(f"parquet: {file} cannot be read: {error}") from error
    if table.num_rows == 0:
        raise InputError(f"parquet: {file} has no rows")
    return table


def _classes(tables: list[Table], label: str) -> tuple[str, ...]:
    """From Hugging Face's metadata; else the strings that occur, or the numbers up to the largest."""
    metadata = json.loads((tables[0].schema.metadata or {}).get(b"huggingface", b"{}"))
    if names := metadata.get("info", {}).get("features", {}).get(label, {}).get("names"):
        return tuple(names)
    values = {value for table in tables for value in table.column(label).unique().to_pylist()}
    if all(isinstance(value, str) for value in values):
        return tuple(sorted(values))
    if all(isinstance(value, int) for value in values):
        return tuple(map(str, range(max(values) + 1)))
    raise InputError(f"parquet: column '{label}' must hold integers or strings, and no nulls")


def _images(table: Table, image: str, label: str, classes: tuple[str, ...]) -> Images:
    labels: list[Any] = table.column(label).to_pylist()
    number = {name: i for i, name in enumerate(classes)}
    cells = table.column(image).to_pylist()
    files: list[tuple[str, bytes]] = []
    for row, cell in enumerate(cells):
        encoded = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(encoded, bytes):
            raise InputError(f"parquet: row {row} of column '{image}' holds no bytes of an image")
        files.append((f"parquet: row {row} of column '{image}'", encoded))
    return Images(decode(files), torch.tensor([number.get(x, x) for x in labels], dtype=torch.int64))
