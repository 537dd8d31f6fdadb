"""A profiled search: its table printed and kept, its traces in the folders of trials and in MLflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from running import held
from small import small_spec
from typer.testing import CliRunner

import kdsearch
from kdsearch.cli import app
from kdsearch.distill.profile import TABLE, TRACE, summed
from kdsearch.pareto import words
from kdsearch.spec import load_spec
from kdsearch.tune.sync import sync

pytestmark = pytest.mark.slow


def test_a_profiled_search_tells_where_the_time_of_its_trials_went(local_ray: None, tmp_path: Path) -> None:
    spec = small_spec(tmp_path, objectives={"accuracy": "maximize", "nll": "minimize"})
    spec["search"] |= {"trials": 2, "baselines": False}
    file = tmp_path / "spec.yaml"
    file.write_text(json.dumps(spec), encoding="utf-8")
    said = CliRunner().invoke(app, ["search", str(file), "--profile"])
    assert said.exit_code == 0, said.output
    assert words.title("nll") in said.output  # in the table of the front

    folder = tmp_path / "store" / "searches" / "small"
    tables = sorted(folder.glob(f"trials/*/{TABLE}"))
    assert len(tables) == 2 and all(path.with_name(TRACE).exists() for path in tables)
    total = summed([folder / TABLE])
    assert total == pytest.approx(summed(tables), abs=1e-5)
    # A group waits for its first trial, if only for the driver to send it.
    assert all(total[name] > 0 for name in ("data", "teacher", "forward", "backward", "evaluation", "idle"))
    for name in total:
        assert name in said.output

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(uri)
    for run in kdsearch.open_search("small", uri).trials["run_id"]:
        kept = [item.path for item in client.list_artifacts(run, "profile")]
        assert kept == [f"profile/{TABLE}", f"profile/{TRACE}"]

    fresh = f"sqlite:///{tmp_path}/fresh.db"
    sync("small", tmp_path / "store", fresh, 60)
    assert held(fresh) == held(uri)

    # What is shipped is not watched again whenever it is trained.
    configs = [load_spec(path) for path in folder.glob("trials/*/config.yaml")]
    assert configs and not any(config.compute.profile for config in configs)
