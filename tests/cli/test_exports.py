"""Wrong input to the commands on exports: one message, exit code 2."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict"], "EXPORT"),
        (["predict", "none"], "IMAGES"),
        (["predict", "none", "image.png"], "none holds no export: metrics.json cannot be read"),
        (["latency", "none"], "none holds no export"),
        (["latency", "none", "--device", "tpu"], "--device"),
        (["export", "x", "--out", "y", "--register", "a/b"], "--register a/b: expected a name without"),
    ],
)
def test_a_wrong_question_about_an_export_is_refused(kdsearch, folder, arguments, message):
    answer = kdsearch(*arguments)
    assert answer.code == 2 and message in answer.err and "Traceback" not in answer.err
    assert not list(folder.iterdir())


def test_a_folder_of_something_else_is_refused(kdsearch, folder):
    (folder / "metrics.json").write_text(json.dumps({"input": {}, "metrics": {}}))
    answer = kdsearch("latency", ".")
    assert answer.code == 2 and "SHA256SUMS cannot be read" in answer.err


def test_a_spec_that_cannot_ship_is_refused_with_the_line(kdsearch, folder):
    text = "data: {source: digits}\nstudent: {name: mlp}\ndeploy:\n  precision: int8\n"
    (folder / "space.yaml").write_text(text)
    answer = kdsearch("check", "space.yaml")
    assert answer.code == 2
    assert answer.err.startswith("error: space.yaml:4: deploy.precision: 'int8' is for format 'onnx'")
