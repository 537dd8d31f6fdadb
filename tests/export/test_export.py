"""What an export holds, and that it is what was measured."""

import hashlib
import json
import re
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch

import kdsearch
from kdsearch.data import normalise
from kdsearch.data.sources.digits import digits
from kdsearch.distill.resident import split
from kdsearch.errors import InputError, KdsearchError
from kdsearch.export import Student, open_export, verify, write_export
from kdsearch.spec import load_spec

COMMON = {
    "config.yaml", "student.safetensors", "student.onnx",
    "labels.txt", "metrics.json", "README.md", "SHA256SUMS",
}  # fmt: skip
SHIPS = {"torch": set(), "onnx": set(), "fp16": {"student.fp16.safetensors"}, "int8": {"student.int8.onnx"}}


@pytest.mark.parametrize("name", list(SHIPS))
def test_an_export_holds_its_files_and_their_checksums(exported, name):
    folder = exported(name).folder
    assert {path.name for path in folder.iterdir()} == COMMON | SHIPS[name]
    lines = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert lines == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "SHA256SUMS"
    }
    assert (folder / "labels.txt").read_text().split() == list("0123456789")


@pytest.mark.parametrize("name", list(SHIPS))
def test_the_figures_are_those_of_the_file_that_ships(exported, name):
    export = exported(name)
    data = split(digits(), 0.25, seed=0)
    if name in ("onnx", "int8"):
        session = onnxruntime.InferenceSession(export.ships)
        told = {
            part: session.run(None, {"images": images.images.numpy()})[0].argmax(1)
            for part, images in (("", data.validation), ("test_", data.test))
        }
    else:
        student, prepare = kdsearch.load_student(export.folder)
        precision = torch.float16 if name == "fp16" else torch.float32
        with torch.inference_mode():
            told = {
                part: student.to(precision)(prepare(images.images).to(precision)).float().argmax(1).numpy()
                for part, images in (("", data.validation), ("test_", data.test))
            }
    for part, images in (("", data.validation), ("test_", data.test)):
        expected = np.mean(told[part] == images.labels.numpy())
        assert export.metrics[f"{part}accuracy"] == pytest.approx(expected, abs=1e-12)
    assert export.metrics["size_mb"] == len(export.ships.read_bytes()) / 1e6
    assert export.metrics["latency_ms"] > 0


def test_how_far_what_ships_is_from_what_was_trained_is_a_figure(exported):
    export = exported("int8")
    images = split(digits(), 0.25, seed=0).validation.images
    student, prepare = kdsearch.load_student(export.folder)
    with torch.inference_mode():
        trained = student(prepare(images)).double().numpy()
    shipped = onnxruntime.InferenceSession(export.ships).run(None, {"images": images.numpy()})[0]
    assert export.metrics["logit_difference"] == pytest.approx(np.abs(trained - shipped).max(), rel=1e-3)
    changed = np.mean(trained.argmax(1) != shipped.argmax(1))
    assert export.metrics["changed_predictions"] == pytest.approx(changed)
    assert "logit_difference" not in exported("torch").metrics


def test_preprocessing_is_inside_the_graph(exported):
    export = exported("torch")
    images = digits().test.images[:32]
    student, prepare = kdsearch.load_student(export.folder)
    mean, std = (torch.tensor(export.described[key]) for key in ("mean", "std"))
    assert torch.equal(prepare(images), normalise(images, mean, std))
    with torch.inference_mode():
        expected = student(prepare(images)).numpy()
    session = onnxruntime.InferenceSession(export.folder / "student.onnx")
    np.testing.assert_allclose(session.run(None, {"images": images.numpy()})[0], expected, atol=1e-4)


def test_every_graph_was_run_where_only_numpy_and_onnxruntime_can_be_imported(exported, tmp_path):
    told = json.loads((exported("int8").folder / "metrics.json").read_text())["verified"]
    assert set(told) == {"student.onnx", "student.int8.onnx"}
    assert told["student.onnx"]["logit_difference"] < 1e-3
    script = (
        "import sys, runpy\n"
        f"sys.argv = ['alone', {str(exported('int8').ships)!r}, 'none.npy', 'out.npy']\n"
        "try:\n"
        f"    runpy.run_path({verify.alone.__file__!r}, run_name='__main__')\n"
        "except FileNotFoundError:\n"
        "    pass\n"
        "for name in ('torch', 'kdsearch', 'onnx', 'mlflow', 'ray', 'pandas'):\n"
        "    try:\n"
        "        __import__(name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        assert 'not on the machine' in str(error)\n"
        "    else:\n"
        "        sys.exit(f'{name} can be imported')\n"
        "assert not any(name.split('.')[0] in ('torch', 'kdsearch', 'onnx') for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_card_tells_the_story_and_both_of_its_programs_run(exported):
    folder = exported("int8").folder
    text = (folder / "README.md").read_text()
    for expected in (
        "## Data", "## Teachers", "## Licences", "## To make it again", "| wide | mlp(hidden=32) |",
        "as onnx int8", "| test_accuracy |", "opset 18", "the data set `digits`", "| latency_ms |",
    ):  # fmt: skip
        assert expected in text, expected
    for kind in ("python", "py"):
        (code,) = re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)
        subprocess.run([sys.executable, "-c", code], cwd=folder.parent, check=True, capture_output=True)


def test_a_spread_that_is_known_stands_in_the_card(exported, tmp_path):
    export = exported("torch")
    metrics = {"accuracy": 0.9, "accuracy_std": 0.0123, "device": "a machine"}
    again = Student(export.config.tree(), export.folder, export.described, metrics)
    text = (write_export(tmp_path / "again", again) / "README.md").read_text()
    assert "| accuracy | 0.9 ± 0.0123 |" in text and "| accuracy_std" not in text
    assert "Timed on a machine." in text


def test_without_the_extra_the_weights_are_exported_alone(exported, tmp_path, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnx" else found(name, *a)
    )
    export = exported("torch")
    out = write_export(
        tmp_path / "alone", Student(export.config.tree(), export.folder, export.described, export.metrics)
    )
    assert {path.name for path in out.iterdir()} == COMMON - {"student.onnx"}
    assert (
        "There is no ONNX graph: student.onnx needs onnx: install the extra"
        in (out / "README.md").read_text()
    )


def test_weights_of_another_student_are_not_exported(exported, tmp_path):
    export = exported("torch")
    other = load_spec(export.config.tree(), ["student.width=4"]).tree()
    with pytest.raises(InputError, match="of another architecture"):
        write_export(tmp_path / "out", Student(other, export.folder, export.described, {}))
    assert not list(tmp_path.iterdir())


def test_a_graph_that_tells_something_else_is_not_exported(exported, tmp_path):
    """The file that ships belongs to other weights, as a stale one would."""
    import shutil

    from kdsearch import models

    export = exported("onnx")
    files = tmp_path / "files"
    shutil.copytree(export.folder, files)
    other = models.build(export.config.tree()["student"], (1, 8, 8), 10, seed=5)
    models.save_weights(other, files / "student.safetensors")
    with pytest.raises(KdsearchError, match=r"student\.onnx gives logits that differ from the student's"):
        write_export(tmp_path / "out", Student(export.config.tree(), files, export.described, {}))
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_a_student_without_the_file_that_ships_is_not_whole(exported, tmp_path):
    export = exported("torch")
    config = load_spec(export.config.tree(), ["deploy={format: onnx, precision: int8}"]).tree()
    with pytest.raises(InputError, match=r"incomplete: student\.int8\.onnx is missing"):
        write_export(tmp_path / "out", Student(config, export.folder, export.described, {}))


@pytest.mark.parametrize("file", ["student.onnx", "student.safetensors", "config.yaml", "labels.txt"])
def test_a_damaged_file_is_found(copied, file):
    folder = copied("onnx")
    with (folder / file).open("ab") as opened:
        opened.write(b"\n")
    with pytest.raises(InputError, match=f"{file} is damaged"):
        open_export(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.json", None, "holds no export: metrics.json cannot be read"),
        ("metrics.json", "{", "holds no export"),
        ("metrics.json", "[]", "holds no export"),
        ("SHA256SUMS", None, "holds no export: SHA256SUMS"),
        ("SHA256SUMS", "0000  ../secret\n", "names '../secret', which is not there"),
        ("SHA256SUMS", "0000\n", "incomplete"),
        ("student.onnx", None, "SHA256SUMS names 'student.onnx', which is not there"),
    ],
)
def test_a_folder_that_holds_no_export_is_refused(copied, file, content, message):
    folder = copied("onnx")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(InputError, match=re.escape(message)):
        open_export(folder)


def test_a_form_needs_a_device_that_is_there(exported):
    for name in ("torch", "onnx"):
        if not torch.cuda.is_available():
            with pytest.raises(InputError, match="device 'cuda'"):
                exported(name).form("cuda")
