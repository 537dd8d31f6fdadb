"""Exports in a real MLflow registry, and latencies sent back to a real run."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image

from kdsearch.cli import main
from kdsearch.data.sources.digits import digits
from kdsearch.errors import InputError
from kdsearch.export import Student, open_export, write_export
from kdsearch.export.register import check_name, register
from kdsearch.measure.device_latency_ms import device_latency_ms
from kdsearch.tracking.client import connect

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with one finished run: its address, its client and the run."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = connect(uri)
    experiment = client.create_experiment("project", str(folder / "artifacts"))
    run = client.create_run(experiment).info.run_id
    client.set_terminated(run)
    return uri, client, run


@pytest.fixture
def of_a_run(exported, store, tmp_path):
    """An export as one of that run."""

    def export(name):
        given = exported(name)
        origin = {"search": "tiny", "run": store[2]}
        student = Student(given.config.tree(), given.folder, given.described, given.metrics, {}, origin)
        return open_export(write_export(tmp_path / name, student))

    return export


@pytest.mark.parametrize("name", ["torch", "int8"])
def test_a_registered_student_is_loaded_by_pyfunc_elsewhere(of_a_run, store, tmp_path, name):
    uri, client, run = store
    export = of_a_run(name)
    first = register(export, f"digits-{name}", uri)
    assert first.version == "1"
    images = digits().test.images[:5]
    np.save(tmp_path / "images.npy", images.numpy())
    code = (
        "import mlflow, numpy as np\n"
        f"mlflow.set_tracking_uri({uri!r})\n"
        f"model = mlflow.pyfunc.load_model('models:/digits-{name}@newest')\n"
        "signature = model.metadata.signature\n"
        "assert signature.inputs.inputs[0].type == np.uint8, signature\n"
        "assert signature.inputs.inputs[0].shape == (-1, 1, 8, 8), signature\n"
        "assert signature.outputs.inputs[0].shape == (-1, 10), signature\n"
        "found = model.predict(np.load('images.npy'))\n"
        "np.save('logits.npy', found['logits'] if isinstance(found, dict) else found)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    form = export.form()
    size = 5 if form.deployment.together else 1
    with torch.inference_mode():
        expected = torch.cat([form(part) for part in images.split(size)])
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected.numpy(), atol=1e-5)
    version = client.get_model_version(f"digits-{name}", "1")
    assert version.run_id == run
    assert version.tags["kdsearch.search"] == "tiny" and version.tags["kdsearch.ships"] == export.ships.name
    assert version.aliases == ["newest"]
    assert register(export, f"digits-{name}", uri).version == "2"
    assert str(client.get_model_version_by_alias(f"digits-{name}", "newest").version) == "2"
    assert client.get_run(run).info.status == "FINISHED"


def test_an_input_example_is_kept(of_a_run, store):
    import mlflow

    uri, _, _ = store
    mlflow.set_tracking_uri(uri)
    found = register(of_a_run("onnx"), "example", uri)
    folder = mlflow.artifacts.download_artifacts(found.uri)
    example = mlflow.models.Model.load(folder).load_input_example(folder)
    assert np.asarray(example["images"]).shape == (1, 1, 8, 8)


def test_a_latency_is_sent_to_the_run(of_a_run, store, monkeypatch, capsys):
    uri, client, run = store
    folder = of_a_run("onnx").folder
    monkeypatch.setattr(sys, "argv", ["kdsearch", "latency", str(folder), "--send", "--tracking-uri", uri])
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr().out
    assert ended.value.code in (0, None) and "p50" in out and "onnxruntime" in out
    sent = {key: value for key, value in client.get_run(run).data.metrics.items() if "latency" in key}
    kinds = sorted(key.partition("/")[0] for key in sent)
    assert kinds == ["latency_ms", "latency_p90_ms", "latency_p99_ms"]
    p50, p90, p99 = (next(v for k, v in sent.items() if k.startswith(f"{kind}/")) for kind in kinds)
    assert 0 < p50 <= p90 <= p99
    shown = float(next(line for line in out.splitlines() if line.startswith("p50")).split()[1])
    assert p50 == pytest.approx(shown, rel=1e-3)
    assert any(key.startswith("kdsearch.latency.") for key in client.get_run(run).data.tags)


def test_a_latency_is_entered_into_a_table_that_a_search_reads(exported, tmp_path, monkeypatch, capsys):
    export, table = exported("onnx"), tmp_path / "phone.csv"
    student, form = export.config.tree("student", "deploy").values()
    table.write_text("name,hidden,latency_ms\nmlp,[999],7\n")
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["kdsearch", "latency", str(export.folder), "--table", str(table)])
        with pytest.raises(SystemExit):
            main()
        out = capsys.readouterr().out
        shown = float(next(line for line in out.splitlines() if line.startswith("p50")).split()[1])
        assert device_latency_ms(student, form, table=str(table)) == pytest.approx(shown, rel=1e-3)
    assert len(table.read_text().splitlines()) == 3
    with pytest.raises(InputError, match=r"no row for convnet\(.*\) as onnx int8"):
        device_latency_ms(student, {**form, "precision": "int8"}, table=str(table))
    assert device_latency_ms({"name": "mlp", "hidden": [999]}, table=str(table)) == 7
    table.write_text(f"name,latency_ms\n{student['name']},7\n")
    with pytest.raises(SystemExit) as refused:
        main()
    assert refused.value.code == 2
    assert "phone.csv:2: this row matches" in capsys.readouterr().err


def test_what_cannot_be_registered_is_refused(exported, of_a_run, store, tmp_path):
    uri, _, _ = store
    with pytest.raises(InputError, match="comes from no run"):
        register(exported("torch"), "name", uri)
    for name in ("", "a/b", "a:b", " "):
        with pytest.raises(InputError, match="--register"):
            check_name(name)
    with pytest.raises(InputError, match="there is no MLflow store"):
        register(of_a_run("torch"), "name", f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_labels_are_printed(exported, tmp_path, monkeypatch, capsys):
    image = digits().test.images[0, 0].numpy()
    Image.fromarray(image).save(tmp_path / "one.png")
    monkeypatch.setattr(
        sys, "argv", ["kdsearch", "predict", str(exported("int8").folder), str(tmp_path / "one.png")]
    )
    with pytest.raises(SystemExit):
        main()
    path, label, share = capsys.readouterr().out.strip().split("\t")
    assert path.endswith("one.png") and label in "0123456789" and 0 < float(share) <= 1


def test_the_store_is_left_with_whole_runs(store):
    uri, _, run = store
    assert MlflowClient(uri).get_run(run).info.lifecycle_stage == "active"
