"""Figures of a device that is not here, read from a table by architecture."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from kdsearch.errors import InputError
from kdsearch.measure import enter, figure, measure_architecture
from kdsearch.measure.device_latency_ms import device_latency_ms
from kdsearch.spec import Deploy

TABLE = """name, width, depth, hidden, latency_ms
convnet, 4, 2, , 0.5
convnet, 8, 2, , 0.9
mlp, , , "[32, 32]", 0.25
mlp, , , [16], 0.125
"""


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "phone.csv"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        ({"name": "convnet", "width": 4, "depth": 2}, 0.5),
        ({"name": "convnet", "width": 8, "depth": 2}, 0.9),
        ({"name": "mlp", "hidden": [32, 32], "dropout": 0.1}, 0.25),
        ({"name": "mlp", "hidden": (16,), "dropout": 0.0}, 0.125),
    ],
)
def test_a_student_is_found_by_its_options(table, student, expected):
    assert device_latency_ms(student, table=table(TABLE)) == expected


FORMS = """name, width, format, precision, batch, latency_ms
convnet, 4, torch, , , 0.5
convnet, 4, onnx, fp32, 1, 0.4
convnet, 4, onnx, int8, 1, 0.2
convnet, 4, onnx, int8, 8, 0.9
mlp, , , , , 0.1
"""


def form(**keys):
    return Deploy(**keys).model_dump()


@pytest.mark.parametrize(
    ("student", "shipped", "expected"),
    [
        ("convnet", {}, 0.5),
        ("convnet", {"precision": "fp16"}, 0.5),
        ("convnet", {"format": "onnx"}, 0.4),
        ("convnet", {"format": "onnx", "precision": "int8"}, 0.2),
        ("convnet", {"format": "onnx", "precision": "int8", "batch": 8, "threads": 2}, 0.9),
        ("mlp", {"format": "onnx", "batch": 3}, 0.1),
    ],
)
def test_a_table_may_tell_forms_apart(table, student, shipped, expected):
    architecture = {"name": student, "width": 4}
    found = measure_architecture(
        nn.Identity(),
        (1, 8, 8),
        [replace(figure("device_latency_ms"), options={"table": table(FORMS)})],
        architecture=architecture,
        deploy=form(**shipped),
    )
    assert found == {"device_latency_ms": expected}


def test_a_table_without_a_column_for_a_key_holds_for_all_its_values(table):
    for shipped in ({}, {"format": "onnx", "precision": "int8", "threads": 4}):
        student = {"name": "convnet", "width": 4, "depth": 2}
        assert device_latency_ms(student, form(**shipped), table=table(TABLE)) == 0.5


def test_a_row_of_a_device_holds_for_it_and_for_forms_that_name_none(table):
    path = table("name,device,latency_ms\nmlp,cpu,2\n")
    for shipped in ({}, {"device": "cpu"}):
        assert device_latency_ms({"name": "mlp"}, form(**shipped), table=path) == 2
    with pytest.raises(InputError, match="no row for mlp as torch fp32 device cuda"):
        device_latency_ms({"name": "mlp"}, form(device="cuda"), table=path)


def test_forms_of_one_student_are_entered_beside_each_other(tmp_path):
    path, student = tmp_path / "phone.csv", {"name": "mlp", "hidden": [8]}
    whole, small = form(format="onnx", device="cpu"), form(format="onnx", precision="int8", device="cpu")
    for shipped, value in ((whole, 2.0), (small, 1.0), (whole, 3.0)):
        enter(str(path), "latency_ms", student, shipped, value)
    assert len(path.read_text().splitlines()) == 3
    assert device_latency_ms(student, whole, table=str(path)) == 3
    assert device_latency_ms(student, small, table=str(path)) == 1
    with pytest.raises(InputError, match=r"no row for mlp\(hidden=8\)$"):
        device_latency_ms(student, form(), table=str(path))


def test_a_row_that_says_no_form_is_replaced_by_one_that_does(table):
    path = table("name,hidden,latency_ms\nmlp,[8],7\nmlp,[9],5\n")
    enter(path, "latency_ms", {"name": "mlp", "hidden": [8]}, form(device="cpu"), 2.0)
    assert device_latency_ms({"name": "mlp", "hidden": [8]}, form(), table=path) == 2
    assert device_latency_ms({"name": "mlp", "hidden": [9]}, form(), table=path) == 5
    with pytest.raises(InputError, match=r"this row matches .* as torch fp32 device cpu batch 2 too"):
        enter(
            table("name,batch,latency_ms\nmlp,2,7\n"), "latency_ms", {"name": "mlp", "hidden": [8]},
            form(device="cpu", batch=2), 1.0,
        )  # fmt: skip


def test_the_option_of_a_model_wins_over_a_key_of_the_form(table, tmp_path, monkeypatch):
    (tmp_path / "batched_model.py").write_text(
        "class Net:\n    def __init__(self, shape, classes, batch=1): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path, student = table("name,batch,latency_ms\nbatched_model:Net,7,3\n"), {"name": "batched_model:Net"}
    assert device_latency_ms({**student, "batch": 7}, form(batch=2), table=path) == 3
    with pytest.raises(InputError, match="no row for"):
        device_latency_ms({**student, "batch": 2}, form(batch=7), table=path)


def test_a_table_that_changed_is_read_again(table):
    student = {"name": "mlp", "hidden": [16]}
    assert device_latency_ms(student, table=table(TABLE)) == 0.125
    import os

    path = table(TABLE.replace("0.125", "4"))
    os.utime(path, ns=(1, 1))
    assert device_latency_ms(student, table=path) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE, r"no row for convnet\(width=16, depth=2\)"),
        ("width,latency_ms\n4,1\n", "phone.csv:1: there is no column 'name'"),
        ("name,latency\nmlp,1\n", "there is no column 'latency_ms'; did you mean 'latency'"),
        ("", "there is no column 'name'"),
        ("name,latency_ms\nconvnt,1\n", "phone.csv:2: unknown model 'convnt'; did you mean 'convnet'"),
        ("name,witdh,latency_ms\nconvnet,16,1\n", ":2: convnet has no option 'witdh'; did you mean 'width'"),
        ("name,precision,latency_ms\nconvnet,int9,1\n", r":2: precision: expected .*'int8', got 'int9'"),
        ("name,latency_ms\nconvnet,fast\n", ":2: latency_ms: expected a number of at least 0, got 'fast'"),
        ("name,latency_ms\nconvnet,-1\n", "expected a number of at least 0, got '-1'"),
        ("name,latency_ms\nconvnet,.inf\n", "expected a number of at least 0"),
        ("name,latency_ms\nconvnet,\n", "expected a number of at least 0, got ''"),
        ("name,latency_ms\nconvnet,1,2\n", ":2: expected 2 cells"),
        ("name,width,latency_ms\nconvnet,16\n", ":2: expected 3 cells"),
        ("name,latency_ms\nconvnet,[1\n", ":2: latency_ms: "),
        (
            "name,latency_ms\nconvnet,1\nconvnet,2\n",
            r"lines 2 and 3 both match convnet\(.*\), with different values",
        ),
    ],
)
def test_a_table_that_does_not_tell_is_refused(table, text, message):
    with pytest.raises(InputError, match=message):
        device_latency_ms({"name": "convnet", "width": 16, "depth": 2}, table=table(text))


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: No such file"):
        device_latency_ms({"name": "mlp"}, table=str(tmp_path / "none.csv"))
    with pytest.raises(InputError, match="is not a table"):
        device_latency_ms({"name": "mlp"}, table=str(tmp_path))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(InputError, match="is not a table"):
        device_latency_ms({"name": "mlp"}, table=str(tmp_path / "binary.csv"))
