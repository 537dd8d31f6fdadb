"""Figures of a device that is not here, read from a table by architecture."""

from __future__ import annotations

import pytest

from kdsearch.errors import InputError
from kdsearch.measure.device_latency_ms import device_latency_ms

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
        ("name,latency_ms\nconvnet,fast\n", ":2: latency_ms: expected a number of at least 0, got 'fast'"),
        ("name,latency_ms\nconvnet,-1\n", "expected a number of at least 0, got '-1'"),
        ("name,latency_ms\nconvnet,.inf\n", "expected a number of at least 0"),
        ("name,latency_ms\nconvnet,\n", "expected a number of at least 0, got ''"),
        ("name,latency_ms\nconvnet,1,2\n", ":2: expected 2 cells"),
        ("name,width,latency_ms\nconvnet,16\n", ":2: expected 3 cells"),
        ("name,latency_ms\nconvnet,[1\n", ":2: latency_ms: "),
        ("name,latency_ms\nconvnet,1\nconvnet,2\n", r"lines 2 and 3 both hold for convnet\(.*\), and differ"),
    ],
)
def test_a_table_that_does_not_tell_is_refused(table, text, message):
    with pytest.raises(InputError, match=message):
        device_latency_ms({"name": "convnet", "width": 16, "depth": 2}, table=table(text))


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: No such file"):
        device_latency_ms({"name": "mlp"}, table=str(tmp_path / "none.csv"))
    with pytest.raises(InputError, match="is no table"):
        device_latency_ms({"name": "mlp"}, table=str(tmp_path))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(InputError, match="is no table"):
        device_latency_ms({"name": "mlp"}, table=str(tmp_path / "binary.csv"))
