"""A real search: Ray, Optuna, MLflow on SQLite, and the export loaded back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import load_file
from small import small_spec

import kdsearch
from kdsearch.data.sources.digits import digits
from kdsearch.distill.resident import split
from kdsearch.errors import InputError, KdsearchError
from kdsearch.export import open_export
from kdsearch.space import RandomTrial, sample
from kdsearch.spec import load_spec
from kdsearch.train import train_config
from kdsearch.tune.display import Silent

pytestmark = pytest.mark.slow


def complete(search: kdsearch.Search) -> pd.DataFrame:
    trials = search.trials
    return trials[trials["state"] == "complete"]


def test_every_trial_is_there_once_and_no_config_ran_twice(searched):
    search, folder = searched
    trials = search.trials
    assert search.state == "complete"
    assert trials["uid"].is_unique and (trials["state"] == "complete").all()
    assert (trials["baseline"] == "").sum() == 6
    files = sorted(
        path.parent.name for path in (folder / "store/searches/small/trials").glob("*/result.json")
    )
    assert files == sorted(trials["uid"])


def test_it_starts_with_the_first_students_baselines(searched):
    first, second, third = searched[0].trials.head(3).to_dict("records")
    assert [first["baseline"], second["baseline"], third["baseline"]] == ["labels", "kd", ""]
    assert first["config"]["student"] == second["config"]["student"] == third["config"]["student"]
    assert first["config"]["teachers"] == {}
    kd = second["config"]["distill"]["losses"]
    assert (kd["ce"]["weight"], kd["kd"]["weight"], kd["kd"]["temperature"]) == (0.1, 0.9, 4.0)


def test_the_front_is_the_non_dominated_set(searched):
    search, _ = searched
    rows = complete(search)
    expected = {
        row.uid
        for row in rows.itertuples()
        if not any(
            other.accuracy >= row.accuracy
            and other.size_mb <= row.size_mb
            and (other.accuracy > row.accuracy or other.size_mb < row.size_mb)
            for other in rows.itertuples()
        )
    }
    assert set(search.front["uid"]) == expected


def test_mlflows_search_box_shows_the_front(searched):
    search, folder = searched
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("small").experiment_id
    runs = client.search_runs([experiment], "tags.`kdsearch.front` = 'true'")
    assert {run.data.tags["kdsearch.uid"] for run in runs} == set(search.front["uid"])
    parents = client.search_runs([experiment], "tags.`kdsearch.kind` = 'search'")
    assert len(parents) == 1
    assert all(run.data.tags["mlflow.parentRunId"] == parents[0].info.run_id for run in runs)
    artifacts = {item.path for item in client.list_artifacts(parents[0].info.run_id)}
    assert {"spec.yaml", "front.html", "front.png", "front.csv"} <= artifacts


def test_every_epoch_and_every_loss_is_in_mlflow(searched):
    search, folder = searched
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    row = complete(search).iloc[2]
    for key in ("loss", "loss/ce", "accuracy", "lr", "seconds"):
        history = client.get_metric_history(row["run_id"], f"epoch/{key}")
        assert sorted(point.step for point in history) == [1, 2, 3], key
    assert client.get_run(row["run_id"]).data.params["student.name"] == row["config"]["student"]["name"]


def test_only_the_front_was_scored_on_test_and_keeps_its_weights(searched):
    search, folder = searched
    trials = search.trials.set_index("uid")
    assert (trials["test_accuracy"].notna() == trials["front"]).all()
    kept = {p.parent.name for p in (folder / "store/searches/small/trials").glob("*/student.safetensors")}
    assert kept == set(search.front["uid"])


def test_gain_is_over_the_same_student_without_a_teacher(searched):
    search, _ = searched
    taught = search.front[search.front["baseline"] != "labels"]
    assert len(taught)
    for row in taught.itertuples():
        twins = [
            other
            for other in complete(search).itertuples()
            if other.baseline == "labels"
            and other.config["student"] == row.config["student"]
            and other.config["optim"] == row.config["optim"]
        ]
        assert row.gain == pytest.approx(row.accuracy - twins[0].accuracy)


def test_the_study_beside_the_search_knows_every_trial_as_what_it_was(searched):
    import optuna

    search, folder = searched
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "store/searches/small/study.journal"))
    study = optuna.load_study(study_name="small", storage=optuna.storages.JournalStorage(backend))
    rows = complete(search).set_index("uid")
    for trial in study.trials:
        assert trial.state == optuna.trial.TrialState.COMPLETE
        row = rows.loc[trial.user_attrs["uid"]]
        assert trial.values == pytest.approx([row["accuracy"], row["size_mb"]])


def test_another_process_opens_the_study_by_its_file_alone_as_optunas_dashboard_does(searched):
    search, folder = searched
    script = (
        "import sys\n"
        "from optuna import load_study\n"
        "from optuna.storages import JournalStorage\n"
        "from optuna.storages.journal import JournalFileBackend\n"
        "study = load_study(study_name=None, storage=JournalStorage(JournalFileBackend(sys.argv[1])))\n"
        "print(study.study_name, len(study.trials), len(study.best_trials), 'kdsearch' in sys.modules)\n"
    )
    journal = folder / "store/searches/small/study.journal"
    before = journal.read_bytes()
    done = subprocess.run([sys.executable, "-c", script, str(journal)], capture_output=True, text=True)
    name, trials, best, ours = done.stdout.split()
    assert (name, int(trials), ours) == ("small", len(searched_by_optuna(search)), "False"), done.stderr
    assert int(best) >= 1 and journal.read_bytes() == before


def searched_by_optuna(search):
    return search.trials[search.trials["baseline"] == ""]


def test_the_same_seed_gives_the_same_configs_and_stored_teachers_are_used(searched, capsys):
    search, folder = searched
    again = kdsearch.search(small_spec(folder), name="again")
    columns = ["uid", "accuracy", "loss"]
    assert again.trials[columns].equals(search.trials[columns])
    assert len(list((folder / "store/teachers").glob("*.json"))) == 2


def test_an_export_is_loaded_in_a_fresh_process_by_the_lines_of_its_readme(searched, tmp_path):
    search, _ = searched
    out = search.export(tmp_path / "student", pick="knee")
    assert {path.name for path in out.iterdir()} == {
        "config.yaml", "student.safetensors", "student.onnx", "labels.txt", "metrics.json", "README.md",
        "SHA256SUMS",
    }  # fmt: skip
    (code,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    assert len(code.splitlines()) == 5
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"tensor\(\[\d\]\)", done.stdout.strip())


def test_an_exported_config_runs_as_it_is_and_reaches_the_same_figures(searched, tmp_path):
    search, _ = searched
    out = search.export(tmp_path / "student", pick="best:accuracy")
    exported = json.loads((out / "metrics.json").read_text())["metrics"]
    again = train_config(
        load_spec(out / "config.yaml"), file=None, out=tmp_path / "again", report=lambda _: None
    )
    for name in ("accuracy", "loss", "size_mb", "macs", "parameters", "test_accuracy"):
        assert again[name] == exported[name], name
    first, second = (load_file(folder / "student.safetensors") for folder in (out, tmp_path / "again"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_each_trial_is_scored_weighed_and_timed_as_it_ships(local_ray, tmp_path):
    onnx = {"format": "onnx", "precision": {"choice": ["fp32", "int8"]}}
    deploy = {"choice": [{"format": "torch", "precision": {"choice": ["fp32", "fp16"]}}, onnx]}
    objectives = {"accuracy": "maximize", "size_mb": "minimize", "latency_ms": "minimize"}
    search = {"sampler": "random", "trials": 8, "seed": 2, "concurrent": 1}
    spec = small_spec(tmp_path, deploy=deploy, objectives=objectives, search=search)
    found = kdsearch.search(spec)
    trials = complete(found)
    assert len(trials) == len(found.trials)
    forms = {(config["deploy"]["format"], config["deploy"]["precision"]) for config in trials["config"]}
    assert len(forms) >= 3
    converted = [
        c["deploy"]["format"] == "onnx" or c["deploy"]["precision"] == "fp16" for c in trials["config"]
    ]
    assert (trials["logit_difference"].notna() == converted).all()
    assert (trials["latency_ms"] > 0).all()
    for number, row in enumerate(found.front.itertuples()):
        out = found.export(tmp_path / f"student{number}", pick=row.uid)
        export = open_export(out)
        assert row.size_mb == export.ships.stat().st_size / 1e6
        data = split(digits(), 0.25, seed=2)
        for part, images in (("accuracy", data.validation), ("test_accuracy", data.test)):
            logits, labels = export.form().predict(images)
            found_again = float((logits.argmax(1) == labels).double().mean())
            assert found_again == pytest.approx(getattr(row, part)), (part, row.recipe)
        card = (out / "README.md").read_text()
        assert "| wide |" in card or not row.config["teachers"]
        assert f"Timed on {row.device}, " in card and f"{row.libraries}." in card
        left = {path.name for path in (tmp_path / f"store/searches/small/trials/{row.uid}").glob("student.*")}
        assert left == {"student.safetensors", export.ships.name}


def test_a_family_that_no_graph_can_hold_is_refused_before_anything_starts(tmp_path):
    student = {"name": "fragile:Branching"}
    with pytest.raises(InputError, match=r"deploy\.format: fragile:Branching: .* cannot be exported to ONNX"):
        kdsearch.search(small_spec(tmp_path, student=student, deploy={"format": "onnx"}))
    assert not (tmp_path / "store").exists()


def test_an_export_needs_a_new_folder_and_a_member_that_fits(searched, tmp_path):
    search, _ = searched
    with pytest.raises(InputError, match="exists"):
        search.export(tmp_path)
    with pytest.raises(InputError, match="no member of its front satisfies size_mb < 0"):
        search.export(tmp_path / "new", where="size_mb < 0")
    with pytest.raises(InputError, match="unknown objective 'acuracy'; did you mean 'accuracy'"):
        search.export(tmp_path / "new", pick="best:acuracy")
    assert not (tmp_path / "new").exists()


def test_a_trial_that_fails_says_why_and_the_search_goes_on(local_ray, tmp_path):
    student = {
        "choice": [
            *({"name": "mlp", "hidden": {"choice": [[width], [width + 1]]}} for width in (4, 8, 12)),
            {"name": "fragile:Fragile", "at": {"int": [1, 3]}},
        ]
    }
    spec = small_spec(tmp_path, student=student, search={"sampler": "random", "trials": 8, "seed": 3})
    search = kdsearch.search(spec)
    failed = search.trials[search.trials["state"] == "failed"]
    assert 0 < len(failed) < len(search.trials)
    assert set(failed["reason"]) == {"RuntimeError: this model breaks in training"}
    assert not failed["front"].any()
    assert (search.trials["state"] != "running").all()


def test_a_loss_that_is_no_longer_finite_fails_the_trial(local_ray, tmp_path):
    spec = small_spec(tmp_path, optim={"name": "sgd", "lr": {"choice": [0.1, 1e9]}, "epochs": 2})
    search = kdsearch.search(spec, overrides=["search.sampler=random", "search.trials=4"])
    reasons = set(search.trials[search.trials["state"] == "failed"]["reason"])
    assert reasons and all(
        re.fullmatch(r"the loss became (nan|inf) in epoch \d", reason) for reason in reasons
    )


def test_constraints_known_before_training_refuse_and_measured_ones_keep_off_the_front(local_ray, tmp_path):
    spec = small_spec(tmp_path, constraints=["parameters <= 400", "accuracy >= 0.1"])
    search = kdsearch.search(spec, overrides=["search.sampler=random", "search.trials=8"])
    assert search.outcome.refused > 0
    assert (search.trials["parameters"].dropna() <= 400).all()
    assert (search.front["accuracy"] >= 0.1).all()


def test_a_space_with_few_configs_is_searched_once_and_ends(local_ray, tmp_path):
    losses = {"ce": {}, "kd": {"temperature": {"choice": [1.0, 2.0]}}}
    spec = small_spec(
        tmp_path,
        student={"name": "mlp", "hidden": {"choice": [[4], [8]]}},
        distill={"teachers": {"members": ["wide"]}, "losses": losses},
    )
    search = kdsearch.search(spec, trials=30)
    assert (search.trials["baseline"] == "").sum() == 4
    assert search.outcome.exhausted


def test_a_search_that_may_do_without_teachers_can_be_compared_with_them(local_ray, tmp_path):
    distill = {"teachers": {"members": {"subset": "all"}}, "losses": {"ce": {}, "kd": {}}}
    changes = {"distill": distill, "objectives": {"accuracy": "maximize", "teacher_kl": "minimize"}}
    spec = next(
        spec
        for seed in range(100)
        if not members(
            spec := small_spec(tmp_path, **changes, search={"trials": 1, "baselines": False, "seed": seed})
        )
    )
    assert kdsearch.search(spec).reference["teacher_kl"] > 0


def members(spec: dict[str, object]) -> list[str]:
    """The teachers of the config that the seed of a spec draws."""
    checked = load_spec(spec)
    drawn: list[str] = sample(checked, RandomTrial(checked.search.seed))["distill"]["teachers"]["members"]
    return drawn


def test_a_search_whose_every_trial_fails_ends_with_the_reason(local_ray, tmp_path):
    spec = small_spec(tmp_path, student={"name": "fragile:Fragile", "at": {"int": [1, 2]}}, teachers={})
    spec["distill"] = {"losses": {"ce": {}}}
    with pytest.raises(KdsearchError, match="this model breaks in training"):
        kdsearch.search(spec, trials=2)


def test_what_workers_log_is_shown_and_in_the_log_once(local_ray, tmp_path):
    shown: list[str] = []

    class Shown(Silent):
        note = staticmethod(shown.append)

    spec = small_spec(tmp_path, bank={"bytes": 1000})
    kdsearch.search(spec, trials=3, display=Shown())
    log = (tmp_path / "store/searches/small/log.txt").read_text().splitlines()
    for lines in (shown, log):
        full = [line for line in lines if "is full: bank.bytes leaves 1e-06 GB to outputs" in line]
        assert len(full) == 1 and "teachers are run for what it lacks" in full[0]


def test_two_workers_take_the_same_steps_as_one(local_ray, tmp_path):
    pairs = {"teacher": "wide", "pairs": [["layer1", "layer1"]]}
    config = {
        "data": {"source": "digits", "batch_size": 64},
        "teachers": {"wide": {"model": {"name": "mlp", "hidden": [64]}, "epochs": 2}},
        "student": {"name": "mlp", "hidden": [16]},
        "distill": {
            "teachers": {"members": ["wide"]},
            "losses": {"ce": {}, "kd": {}, "hint": {"match": pairs}},
        },
        "optim": {"name": "sgd", "lr": 0.1, "epochs": 2},
        "compute": {"storage": str(tmp_path / "store")},
    }  # fmt: skip
    weights = {}
    for workers in (1, 2):
        spec = load_spec({**config, "compute": {**config["compute"], "workers": workers}})
        train_config(spec, file=None, out=tmp_path / str(workers), report=lambda _: None)
        weights[workers] = load_file(tmp_path / str(workers) / "student.safetensors")
    for key, one in weights[1].items():
        torch.testing.assert_close(weights[2][key], one, rtol=1e-4, atol=1e-6)


def test_nothing_is_left_of_the_worker_groups(searched, local_ray):
    import ray

    # Ray's own books lag behind.
    until = time.monotonic() + 30
    while ray.available_resources().get("CPU", 0) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    assert ray.available_resources()["CPU"] == pytest.approx(2)


def test_the_name_of_a_search_is_not_taken_twice(searched, local_ray):
    _, folder = searched
    with pytest.raises(InputError, match="there is a search of this name"):
        kdsearch.search(small_spec(folder), name="small")
