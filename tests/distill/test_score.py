"""What is measured of a student while it trains, after, and at the end of a search."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax
from sklearn.metrics import balanced_accuracy_score, recall_score

from kdsearch import models
from kdsearch.data import Images, normalise
from kdsearch.distill.preflight import preflight
from kdsearch.distill.resident import Resident
from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.errors import SpecError
from kdsearch.space import canonical
from kdsearch.spec import load_spec

CONTENT: dict[str, Any] = {
    "data": {"source": "digits", "batch_size": 256, "validation": 0.3},
    "teachers": {
        "conv": {"model": {"name": "convnet", "width": 4, "depth": 2}, "epochs": 3},
        "flat": {"model": {"name": "mlp", "hidden": [24]}, "epochs": 3},
        "other": {"model": {"name": "mlp", "hidden": [12]}, "epochs": 3},
    },
    "student": {"name": "mlp", "hidden": [8]},
    "distill": {"teachers": {"members": ["conv", "flat"]}, "losses": {"ce": {}, "kd": {}}},
    "optim": {"name": "sgd", "lr": 0.1, "epochs": 2},
    "measure": {
        "like_other": {"name": "agreement", "teacher": "other"},
        "robustness": {"name": "corruption_accuracy", "severities": [5]},
    },
    "objectives": {"nll": "minimize", "agreement": "maximize", "latency_ms": "minimize"},
    "constraints": ["teacher_kl <= 100"],
}


class Done:
    """A student trained and measured, and what its process keeps."""

    def __init__(self, folder: Path) -> None:
        spec = load_spec({**CONTENT, "compute": {"storage": str(folder)}})
        self.session = Session(folder, local_worker(spec))
        ensure_teachers(spec, self.session, lambda name, text: None)
        self.config = load_spec(canonical(spec.tree()))
        self.folder = folder / "trial"
        self.epochs: list[dict[str, float]] = []
        self.metrics = self.session.trial(self.config, self.folder, self.report)
        self.final = self.session.finish(self.config, self.folder / "student.safetensors")
        self.splits = self.session.resident.splits(self.config)

    def report(self, metrics: dict[str, float]) -> bool:
        self.epochs.append(metrics)
        return True

    def said(self, model: dict[str, Any], weights: Path, split: Images) -> np.ndarray:
        """Logits of a fresh model with the weights of a file."""
        built = models.build(model, self.splits.shape, len(self.splits.classes), seed=1)
        models.load_weights(built, weights)
        with torch.inference_mode():
            logits = built.eval()(normalise(split.images, self.splits.mean, self.splits.std))
        return logits.double().numpy()

    def student(self, split: Images) -> np.ndarray:
        return self.said(CONTENT["student"], self.folder / "student.safetensors", split)

    def teacher(self, name: str, split: Images) -> np.ndarray:
        store = self.session.store
        records = [store.record(path.stem) for path in store.folder.glob("*.json")]
        (record,) = (record for record in records if record and record["name"] == name)
        return self.said(record["model"], store.path(record), split)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return Done(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_figures_are_those_of_the_weights_that_were_kept(done, split):
    images = getattr(done.splits, split)
    logits, labels = done.student(images), images.labels.numpy()
    p = sum(softmax(done.teacher(name, images), 1) for name in ("conv", "flat")) / 2
    expected = {
        "accuracy": np.mean(logits.argmax(1) == labels),
        "nll": -log_softmax(logits, 1)[np.arange(len(labels)), labels].mean(),
        "agreement": np.mean(logits.argmax(1) == p.argmax(1)),
        "teacher_kl": rel_entr(p, softmax(logits, 1)).sum(1).mean(),
        "like_other": np.mean(logits.argmax(1) == done.teacher("other", images).argmax(1)),
    }
    found = done.metrics if split == "validation" else done.final
    prefix = "" if split == "validation" else "test_"
    for name, value in expected.items():
        assert found[prefix + name] == pytest.approx(value, abs=1e-5), name


def test_what_follows_from_predictions_is_told_every_epoch_and_the_costly_figure_once(done):
    assert all({"nll", "agreement", "like_other", "teacher_kl"} <= set(epoch) for epoch in done.epochs)
    assert not any("robustness" in epoch for epoch in done.epochs)
    assert 0 < done.metrics["robustness"] <= done.metrics["accuracy"] + 0.05
    assert 0 < done.final["test_robustness"] < 1


def test_at_the_end_the_test_split_tells_all_that_is_free(done):
    labels, named = done.splits.test.labels, done.student(done.splits.test).argmax(1)
    assert done.final["test_balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, named))
    assert {"test_macro_f1", "test_calibration_error", "test_class_accuracy"} <= set(done.final)
    assert not any(name.startswith("test_") for name in done.metrics)


def test_the_accuracy_of_each_class_is_a_table_beside_the_weights(done):
    with (done.folder / "classes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == ["validation"] * 10 + ["test"] * 10
    for split in ("validation", "test"):
        images = getattr(done.splits, split)
        expected = recall_score(images.labels, done.student(images).argmax(1), average=None)
        mine = [row for row in rows if row["split"] == split]
        assert [row["class"] for row in mine] == list(done.splits.classes)
        assert [int(row["images"]) for row in mine] == images.labels.bincount().tolist()
        assert [float(row["accuracy"]) for row in mine] == pytest.approx(expected.tolist())


def test_a_latency_is_an_estimate_until_it_is_taken_alone(done):
    assert done.metrics["estimated"] == 1 and done.final["estimated"] == 0
    assert 0 < done.final["latency_ms"] <= done.final["latency_p90_ms"] <= done.final["latency_p99_ms"]
    assert done.final["device"] and torch.__version__ in done.final["libraries"]


def test_a_teacher_is_asked_about_a_split_once(done):
    resident = Resident(done.session.store, torch.device("cpu"))
    asked: list[int] = []
    teacher = resident.teacher(done.config, "other")
    teacher.register_forward_hook(lambda module, given, _: asked.append(len(given[0])))
    for _ in range(3):
        logits = resident.teacher_logits(done.config, "other", "validation")
    expected = done.teacher("other", done.splits.validation)
    torch.testing.assert_close(logits.double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-5)
    assert sum(asked) == len(done.splits.validation)
    resident.teacher_logits(done.config, "other", "test")
    assert sum(asked) == len(done.splits.validation) + len(done.splits.test)


def test_a_specialist_is_compared_with_on_the_images_that_it_knows(done, tmp_path):
    teachers = {**CONTENT["teachers"], "few": {"model": "mlp", "epochs": 1, "classes": ["3", "5", "8"]}}
    measure = {"like_few": {"name": "agreement", "teacher": "few"}}
    spec = load_spec({**CONTENT, "teachers": teachers, "measure": measure})
    ensure_teachers(spec, done.session, lambda name, text: None)
    config = load_spec(canonical(spec.tree()))
    metrics = done.session.trial(config, tmp_path / "trial", lambda metrics: True)
    validation = done.session.resident.splits(config).validation
    known = torch.isin(validation.labels, torch.tensor([3, 5, 8]))
    said = done.session.resident.teacher_logits(config, "few", "validation")
    assert torch.equal(~said.isnan().any(1), known)
    assert set(said[known].argmax(1).tolist()) <= {3, 5, 8}
    named = done.said(CONTENT["student"], tmp_path / "trial" / "student.safetensors", validation).argmax(1)
    expected = np.mean(named[known.numpy()] == said[known].argmax(1).numpy())
    assert metrics["like_few"] == pytest.approx(expected)


def test_a_student_from_labels_alone_has_no_fidelity_to_an_ensemble(done, tmp_path):
    spec = load_spec({**CONTENT, "distill": {"losses": {"ce": {}}}})
    config = load_spec(canonical(spec.tree()))
    metrics = done.session.trial(config, tmp_path / "trial", lambda metrics: True)
    assert math.isnan(metrics["agreement"]) and math.isnan(metrics["teacher_kl"])
    assert 0 < metrics["like_other"] < 1
    final = done.session.finish(config, tmp_path / "trial" / "student.safetensors")
    assert 0 < final["test_like_other"] < 1


def test_a_trial_never_looks_at_the_test_split(done, tmp_path, monkeypatch):
    class Poison:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"the test split was asked for its {name}")

    resident = done.session.resident
    ((key, splits),) = resident._splits.items()
    monkeypatch.setitem(resident._splits, key, replace(splits, test=Poison()))
    again = done.session.trial(done.config, tmp_path / "trial", lambda metrics: True)
    same = set(again) - {"seconds"}
    assert {name: again[name] for name in same} == {name: done.metrics[name] for name in same}


def test_without_a_test_split_the_end_tells_only_the_cost(done, monkeypatch):
    resident = done.session.resident
    ((key, splits),) = resident._splits.items()
    monkeypatch.setitem(resident._splits, key, replace(splits, test=None))
    final = done.session.finish(done.config, done.folder / "student.safetensors")
    assert final["latency_ms"] > 0 and not any(name.startswith("test_") for name in final)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (
            {"sevens": {"name": "class_accuracy", "of": "77"}},
            "measure.sevens: class_accuracy: there is no",
        ),
        ({"device_latency_ms": {"table": "none.csv"}}, "measure.device_latency_ms: none.csv: No such file"),
        ({"robust": {"name": "corruption_accuracy", "severities": []}}, "name at least one corruption"),
    ],
)
def test_a_figure_that_cannot_be_taken_is_refused_before_anything_starts(measure, message):
    with pytest.raises(SpecError) as error:
        preflight(load_spec({**CONTENT, "measure": measure}))
    assert message in str(error.value)


def test_a_table_must_know_every_extreme_of_the_space(tmp_path):
    table = tmp_path / "phone.csv"
    student = {"name": "mlp", "hidden": {"choice": [[8], [16]]}}
    measure = {"device_latency_ms": {"table": str(table)}}
    spec = load_spec({**CONTENT, "student": student, "measure": measure})
    table.write_text("name,hidden,latency_ms\nmlp,[8],0.5\n")
    with pytest.raises(SpecError, match=r"no row for mlp\(hidden=16\)"):
        preflight(spec)
    table.write_text("name,hidden,latency_ms\nmlp,[8],0.5\nmlp,[16],0.75\n")
    preflight(spec)


def test_a_table_tells_a_trial_its_latency(done, tmp_path):
    table = tmp_path / "phone.csv"
    table.write_text("name,hidden,latency_ms\nmlp,[8],0.5\n")
    measure = {"phone_ms": {"name": "device_latency_ms", "table": str(table)}}
    spec = load_spec({**CONTENT, "measure": measure, "objectives": {"phone_ms": "minimize"}})
    config = load_spec(canonical(spec.tree()))
    metrics = done.session.trial(config, tmp_path / "trial", lambda metrics: True)
    assert metrics["phone_ms"] == 0.5 and "estimated" not in metrics


def test_a_teacher_that_only_gives_hints_is_compared_with_the_student(tmp_path: Path):
    content = {
        "data": CONTENT["data"],
        "teachers": {"flat": {"model": {"name": "mlp", "hidden": [24, 16]}, "epochs": 1}},
        "student": {"name": "mlp", "hidden": [8]},
        "distill": {
            "teachers": {"members": ["flat"]},
            "losses": {"ce": {}, "hint": {"match": {"teacher": "flat", "pairs": [["layer1", "layer1"]]}}},
        },
        "optim": {"name": "sgd", "lr": 0.1, "epochs": 1},
        "objectives": {"accuracy": "maximize", "teacher_kl": "minimize"},
    }
    spec = load_spec(content)
    session = Session(tmp_path, local_worker(spec))
    ensure_teachers(spec, session, lambda name, text: None)
    # In a process that has not compared anything with the teacher yet.
    metrics = Session(tmp_path, local_worker(spec)).trial(spec, tmp_path / "trial", lambda metrics: True)
    assert math.isfinite(metrics["teacher_kl"])
