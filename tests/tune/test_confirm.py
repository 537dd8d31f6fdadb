"""A front confirmed with fresh seeds on a real Ray, and all that its run in MLflow shows afterwards."""

from __future__ import annotations

import json

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from running import held
from safetensors.torch import save
from small import small_spec
from typer.testing import CliRunner

import kdsearch
from kdsearch import models
from kdsearch.cli import app
from kdsearch.errors import InputError, KdsearchError
from kdsearch.pareto import hypervolume
from kdsearch.tune.search_lock import holder
from kdsearch.tune.sync import sync

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def confirmed(searched):
    search, folder = searched
    return search.confirm(seeds=2), folder


def parent(search: kdsearch.Search, folder):
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("small").experiment_id
    condition = f"tags.`kdsearch.kind` = 'search' and tags.`kdsearch.search` = '{search.name}'"
    return client, client.search_runs([experiment], condition)[0]


def test_the_reference_point_is_stated_before_the_first_trial(searched):
    search, folder = searched
    kept = json.loads((folder / "store/searches/small/reference.json").read_text())
    assert search.reference == kept and kept["accuracy"] == 0.0
    largest = models.build({"name": "mlp", "hidden": [16]}, (1, 8, 8), 10)
    assert kept["size_mb"] == pytest.approx(1.1 * len(save(largest.state_dict())) / 1e6)
    client, run = parent(search, folder)
    volumes = client.get_metric_history(run.info.run_id, "hypervolume")
    assert [point.value for point in volumes] == sorted(point.value for point in volumes)
    front = search.front
    assert volumes[-1].value == pytest.approx(hypervolume(front, search.objectives, kept))


def test_the_search_shows_itself_in_mlflow(searched):
    search, folder = searched
    client, run = parent(search, folder)
    names = {item.path for item in client.list_artifacts(run.info.run_id)}
    drawn = ("front", "hypervolume", "parallel", "curves")
    assert {f"{name}.{kind}" for name in drawn for kind in ("html", "png")} <= names
    assert {"report.html", "front.json", "front.csv", "trials.csv", "spec.yaml"} <= names
    report = (folder / "store/searches/small/report.html").read_text()
    assert all(recipe in report.replace("&gt;", ">") for recipe in search.front["recipe"])


def test_the_front_is_a_table_that_mlflow_loads(searched):
    search, folder = searched
    _, run = parent(search, folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment("small")
    table = mlflow.load_table("front.json", run_ids=[run.info.run_id])
    assert list(table["recipe"]) == list(search.front["recipe"])
    assert list(table.columns[:3]) == ["recipe", "accuracy", "test_accuracy"]
    assert table["accuracy"].tolist() == pytest.approx(search.front["accuracy"].tolist())


def test_members_and_baselines_were_trained_with_each_seed(searched, confirmed):
    search, _ = searched
    done, _ = confirmed
    assert set(search.front["uid"]) <= set(done.table["uid"])
    assert {"labels", "kd"} <= set(done.table["baseline"])
    assert (done.runs.groupby("uid")["seed"].apply(sorted).map(tuple) == (1, 2)).all()
    again = done.runs.set_index("uid")["accuracy"]
    before = search.trials.set_index("uid")["accuracy"]
    assert (again != before.loc[again.index]).mean() > 0.5
    assert done.runs["test_accuracy"].between(0.05, 1).all()


def test_what_was_confirmed_stands_in_mlflow_beside_what_was_searched(searched, confirmed):
    search, _ = searched
    done, folder = confirmed
    found = kdsearch.open_search("small", search.uri)
    rows = found.trials.set_index("uid")
    for row in done.table.itertuples():
        assert rows.loc[row.uid, "confirmed_accuracy"] == pytest.approx(row.accuracy)
        assert rows.loc[row.uid, "confirmed_accuracy_std"] == pytest.approx(row.accuracy_std)
        assert rows.loc[row.uid, "confirmed_test_accuracy"] == pytest.approx(row.test_accuracy)
        assert rows.loc[row.uid, "front_probability"] == pytest.approx(row.front_probability)
    client, run = parent(search, folder)
    gap = done.confirmed.optimism
    assert run.data.metrics["optimism_gap"] == pytest.approx(gap.searched - gap.confirmed)
    names = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"confirmed.html", "confirmed.png", "confirmed.csv", "confirmed_runs.csv"} <= names
    assert found.state == "complete" and run.info.status == "FINISHED"
    assert "optimism gap" in (folder / "store/searches/small/report.html").read_text()
    held = client.search_runs(
        [run.info.experiment_id], "tags.`kdsearch.verdict` = 'holds' and metrics.front_probability > 0.4"
    )
    assert {r.data.tags["kdsearch.uid"] for r in held} == set(
        done.table.loc[done.table["verdict"] == "holds", "uid"]
    )


def test_runs_that_are_there_are_not_repeated(searched, confirmed):
    search, folder = searched
    kept = sorted((folder / "store/searches/small/confirm").glob("*/metrics.json"))
    before = {path: path.stat().st_mtime_ns for path in kept}
    at_work: list[object] = []

    class Notes:
        @staticmethod
        def note(text: str) -> None:
            at_work.append(holder(folder / "store/searches/small"))

    again = search.confirm(seeds=2, top=1, display=Notes())
    assert at_work and all(found and found[1] == "confirm" for found in at_work)
    assert holder(folder / "store/searches/small") is None
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    member = again.table[again.table["uid"] == search.front.iloc[0]["uid"]]
    assert len(again.table) < len(confirmed[0].table) and len(member) == 1
    columns = ["accuracy", "test_accuracy", "accuracy_std"]
    whole = confirmed[0].table.set_index("uid").loc[again.table["uid"], columns]
    pd.testing.assert_frame_equal(again.table.set_index("uid")[columns], whole)


def test_what_was_confirmed_is_told_to_another_mlflow_too(searched, confirmed, tmp_path):
    search, folder = searched
    uri = f"sqlite:///{tmp_path}/fresh.db"
    sync("small", folder / "store", uri, 60)
    assert held(uri) == held(search.uri)
    assert "confirmed_accuracy" in kdsearch.open_search("small", uri).trials
    before = MlflowClient(search.uri).get_metric_history(search._record.run_id, "optimism_gap")
    sync("small", folder / "store", None, 60)
    assert MlflowClient(search.uri).get_metric_history(search._record.run_id, "optimism_gap") == before


def test_a_folder_of_another_search_is_not_confirmed_into(searched):
    search, folder = searched
    about = folder / "store/searches/small/search.json"
    kept = about.read_text()
    about.write_text(json.dumps({**json.loads(kept), "uid": "another"}))
    try:
        with pytest.raises(InputError, match="is of another search 'small'"):
            search.confirm()
    finally:
        about.write_text(kept)


def test_a_recipe_whose_fresh_runs_fail_is_counted_and_unstable(local_ray, tmp_path):
    marker = tmp_path / "broken"
    # The smallest student there is, so that it is on the front.
    faulty = {"name": "faulty:Faulty", "fault": "later", "width": 2, "marker": str(marker)}
    student = {"choice": [faulty, {"name": "mlp", "hidden": [16]}]}
    sampler = {"sampler": "random", "trials": 6, "seed": 2, "concurrent": 1}
    search = kdsearch.search(small_spec(tmp_path, student=student, search=sampler))
    assert "faulty:Faulty" in {config["student"]["name"] for config in search.front["config"]}
    marker.touch()
    told: list[str] = []

    class Notes:
        note = staticmethod(told.append)

    table = search.confirm(seeds=2, display=Notes()).table.set_index("uid")
    configs = search.trials.set_index("uid").loc[table.index, "config"]
    broken = configs.map(lambda config: config["student"]["name"]) == "faulty:Faulty"
    assert broken.any() and (~broken).sum() >= 2
    assert set(table.loc[broken, "failed"]) == {2} and set(table.loc[~broken, "failed"]) == {0}
    assert set(table.loc[broken, "verdict"]) == {"unstable"} and not table.loc[broken, "front"].any()
    assert table.loc[~broken, "front"].any() and "unstable" not in set(table.loc[~broken, "verdict"])
    assert sum("failed: RuntimeError: this model breaks" in note for note in told) == 2 * broken.sum()
    found = kdsearch.open_search(search.name, search.uri).trials.set_index("uid")
    assert (found.loc[table.index, "confirmed_failed"] == table["failed"]).all()


def test_a_disk_that_is_full_ends_a_confirmation_and_is_no_verdict(local_ray, tmp_path):
    marker = tmp_path / "full"
    student = {"name": "faulty:Faulty", "fault": "full", "width": {"int": [2, 8]}, "marker": str(marker)}
    sampler = {"sampler": "random", "trials": 4, "seed": 2, "concurrent": 1}
    search = kdsearch.search(small_spec(tmp_path, student=student, search=sampler))
    marker.touch()
    with pytest.raises(KdsearchError, match=r"nothing can be written: .*No space left on device"):
        search.confirm(seeds=2)
    found = kdsearch.open_search(search.name, search.uri)
    assert "kdsearch.verdict" not in found.trials and not list(tmp_path.rglob("confirmed.csv"))
    marker.unlink()
    table = search.confirm(seeds=2).table
    assert set(table["failed"]) == {0} and "unstable" not in set(table["verdict"])


def test_one_seed_has_no_spread(searched):
    with pytest.raises(InputError, match="at least 2"):
        searched[0].confirm(seeds=1)


def test_two_searches_are_compared_from_the_command_line(searched, tmp_path):
    search, folder = searched
    other = kdsearch.search(
        {**_spec(folder), "optim": {"name": "sgd", "lr": 0.02, "epochs": 2}}, name="slower"
    )
    arguments = [
        "front",
        "--compare",
        "small",
        "slower",
        "--tracking-uri",
        search.uri,
        "--out",
        str(tmp_path),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert {"small", "slower"} <= set(done.output.split())
    assert (tmp_path / "small-vs-slower.html").exists() and (tmp_path / "small-vs-slower.png").exists()
    printed = CliRunner().invoke(app, [*arguments, "--format", "json"])
    volumes = {row["search"]: row["hypervolume"] for row in json.loads(printed.output)}
    # Both have the same reference point: the space of students is one.
    assert volumes["small"] == pytest.approx(
        hypervolume(kdsearch.open_search("small", search.uri).front, search.objectives, search.reference)
    )
    assert volumes["slower"] == pytest.approx(hypervolume(other.front, other.objectives, other.reference))


def _spec(folder):
    return small_spec(folder)
