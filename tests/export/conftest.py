"""Exports of a tiny student of the digits, in each form, made by `kdsearch train`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kdsearch.export import Export, open_export
from kdsearch.spec import load_spec
from kdsearch.train import train_config

CONFIG = {
    "name": "tiny",
    "data": {"source": "digits", "batch_size": 64, "validation": 0.25},
    "teachers": {"wide": {"model": {"name": "mlp", "hidden": [32]}, "epochs": 2}},
    "student": {"name": "convnet", "width": 8, "depth": 2},
    "distill": {"teachers": {"members": ["wide"]}, "losses": {"ce": None, "kd": {"temperature": 2.0}}},
    "optim": {"name": "adamw", "lr": 0.01, "epochs": 4},
    "objectives": {"accuracy": "maximize", "size_mb": "minimize", "latency_ms": "minimize"},
}
FORMS = {
    "torch": {},
    "fp16": {"precision": "fp16"},
    "onnx": {"format": "onnx"},
    "int8": {"format": "onnx", "precision": "int8"},
}

Exported = Callable[[str], Export]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The export of a form by its name in `FORMS`, made when first asked for."""
    root = tmp_path_factory.mktemp("exports")

    def export(name: str) -> Export:
        out = root / name
        if not out.exists():
            config = {**CONFIG, "deploy": FORMS[name], "compute": {"storage": os.fspath(root / "store")}}
            train_config(load_spec(config), file=None, out=out, report=lambda _: None)
        return open_export(out)

    return export


@pytest.fixture
def copied(exported: Exported, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of an export, to be damaged."""
    import shutil

    def copy(name: str) -> Path:
        return Path(shutil.copytree(exported(name).folder, tmp_path / name))

    return copy
