"""The test split has no say in a search: corrupted, it changes nothing but what is said of it at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from small import small_spec

import kdsearch
from kdsearch.data.sources.digits import digits

pytestmark = pytest.mark.slow

#: Told at the end, with the test split, or by a clock.
LATE = ("test_", "latency_", "seconds", "estimated", "run_id")


def write(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    import io

    from PIL import Image

    stored = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        stored.append({"bytes": file.getvalue(), "path": None})
    pq.write_table(pa.table({"img": stored, "label": labels}), path)


def searched(folder: Path, data: Path) -> kdsearch.Search:
    source = {"source": "parquet", "train": str(data / "train.parquet"), "test": str(data / "test.parquet")}
    changes: dict[str, Any] = {
        "data": {**source, "batch_size": 64, "validation": 0.25},
        "student": {"name": "mlp", "hidden": {"choice": [[8], [12], [16], [24]]}},
        "objectives": {"accuracy": "maximize", "agreement": "maximize", "size_mb": "minimize"},
        "constraints": ["nll <= 5"],
    }
    folder.mkdir()
    return kdsearch.search(small_spec(folder, **changes))


def test_a_corrupted_test_split_changes_no_trial_and_no_front(local_ray, tmp_path):
    dataset = digits()
    images, labels = (
        np.concatenate([getattr(split, part).numpy() for split in (dataset.train, dataset.test)])
        for part in ("images", "labels")
    )
    images = images[:, 0]
    write(tmp_path / "train.parquet", images[:1200], labels[:1200])
    write(tmp_path / "test.parquet", images[1200:], labels[1200:])
    clean = searched(tmp_path / "clean", tmp_path)

    random = np.random.default_rng(0)
    noise = random.integers(0, 256, size=images[1200:].shape, dtype=np.uint8)
    write(tmp_path / "test.parquet", noise, random.permutation(labels[1200:]))
    corrupted = searched(tmp_path / "corrupted", tmp_path)

    assert set(clean.trials["state"]) == {"complete"}
    kept = [name for name in clean.trials.columns if not name.startswith(LATE)]
    assert {"uid", "config", "accuracy", "agreement", "nll", "front", "baseline", "gain"} <= set(kept)
    pd.testing.assert_frame_equal(_same(clean.trials[kept]), _same(corrupted.trials[kept]))
    assert clean.front["test_accuracy"].min() > 0.5 > 0.25 > corrupted.front["test_accuracy"].max()

    client = MlflowClient(clean.uri)
    for run_id in clean.front["run_id"]:
        assert {"kdsearch.device", "kdsearch.libraries"} <= set(client.get_run(run_id).data.tags)
        assert "classes.csv" in [file.path for file in client.list_artifacts(run_id)]
    assert (clean.front["estimated"] == 0).all()


def _same(trials: pd.DataFrame) -> pd.DataFrame:
    """Without the folder that a search keeps its files in, which is no part of what it found."""
    configs = [{**config, "compute": None, "tracking": None} for config in trials["config"]]
    return trials.assign(config=configs).reset_index(drop=True)
