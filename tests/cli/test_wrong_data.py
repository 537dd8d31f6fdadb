"""A spec that only data, checkpoints and models tell to be wrong is refused before anything starts."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from kdsearch import models
from kdsearch.space import RandomTrial, canonical, sample
from kdsearch.spec import dump_yaml, load_spec

SPACE = (Path(__file__).parent / "space.yaml").read_text(encoding="utf-8")


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def checkpoint(model: dict[str, Any], path: str, classes: int = 10) -> None:
    built = models.build(model, (1, 8, 8), classes)
    if path.endswith(".safetensors"):
        save_file(built.state_dict(), path)
    else:
        torch.save(built.state_dict(), path)


def _no_checkpoint() -> None: ...


def _truncated_safetensors() -> None:
    checkpoint({"name": "mlp", "hidden": [32]}, "big.safetensors")
    Path("big.safetensors").write_bytes(Path("big.safetensors").read_bytes()[:900])


def _truncated_state_dict() -> None:
    checkpoint({"name": "mlp", "hidden": [32]}, "big.pt")
    Path("big.pt").write_bytes(Path("big.pt").read_bytes()[:900])


def _other_architecture() -> None:
    checkpoint({"name": "mlp", "hidden": [16]}, "big.pt")


def _other_classes() -> None:
    checkpoint({"name": "mlp", "hidden": [32]}, "big.pt", classes=100)


def _parquet_without_columns() -> None:
    pq.write_table(pa.table({"image": [png()] * 4, "label": [0, 1] * 2}), "train.parquet")


def _empty_class_folder() -> None:
    Path("images/cat").mkdir(parents=True)
    Path("images/cat/0.png").write_bytes(png())
    Path("images/dog").mkdir()


WEIGHTS = "4: teachers.big.weights: "
BIG = "hidden: [32]}, epochs: 1}"
WITH = "hidden: [32]}, weights: "
WITH_DATA = {
    "a missing checkpoint": (
        _no_checkpoint,
        BIG,
        WITH + "big.pt}",
        WEIGHTS + "checkpoint big.pt: there is no",
    ),
    "a truncated safetensors": (
        _truncated_safetensors,
        BIG,
        WITH + "big.safetensors}",
        WEIGHTS + "checkpoint big.safetensors cannot be read, it may be truncated",
    ),
    "a truncated state_dict": (
        _truncated_state_dict,
        BIG,
        WITH + "big.pt}",
        WEIGHTS + "checkpoint big.pt cannot be read, it may be truncated",
    ),
    "a checkpoint of another architecture": (
        _other_architecture,
        BIG,
        WITH + "big.pt}",
        WEIGHTS + "checkpoint big.pt is of another architecture: it has other shapes",
    ),
    "a teacher of other classes": (_other_classes, BIG, WITH + "big.pt}", "(the data has 10 classes)"),
    "a parquet file without the columns": (
        _parquet_without_columns,
        "{source: digits, ",
        "{source: parquet, train: train.parquet, ",
        "2: data: parquet: train.parquet has no column 'img'; did you mean 'image'?",
    ),
    "an empty class folder": (
        _empty_class_folder,
        "{source: digits, ",
        "{source: image_folder, path: images, ",
        "2: data: image_folder: class folder images/dog has no images",
    ),
    "a folder that is not there": (
        _no_checkpoint,
        "{source: digits, ",
        "{source: image_folder, path: imagse, ",
        "2: data: image_folder: there is no folder imagse",
    ),
    "a student that cannot be built at one end of a range": (
        _no_checkpoint,
        "name: convnet, width: {int: [2, 4]}, depth: 2",
        "name: resnet, depth: {int: [8, 11], step: 3}",
        "5: student: ",
    ),
}


@pytest.mark.parametrize("command", ["search", "teachers", "train"])
@pytest.mark.parametrize("bad", WITH_DATA.values(), ids=WITH_DATA)
def test_what_only_data_and_models_can_tell_is_refused_before_anything_starts(
    refuses: Callable[..., None], folder: Path, bad: tuple[Callable[[], None], str, str, str], command: str
):
    prepare, right, wrong, message = bad
    prepare()
    text = SPACE.replace(right, wrong, 1)
    assert text != SPACE
    if command == "train":
        if "step: 3" in wrong:
            pytest.skip("a config has no ranges")
        text = dump_yaml(canonical(sample(load_spec(_written(folder, text)), _AllTeachers(0))))
        message = message.partition(": ")[2]
    (folder / "s.yaml").write_text(text)
    refuses(message, command, "s.yaml")


def _written(folder: Path, text: str) -> Path:
    (folder / "s.yaml").write_text(text)
    return folder / "s.yaml"


class _AllTeachers(RandomTrial):
    """Draws configs in which every teacher is a member."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[0]
